# make run     a complete mail host in ./demo, with one user and a few messages; prints how to try it
# make test    everything: needs Debian's servers and clients (tests/install-servers gets them where it may)
# make check   format, lint, types, fast tests: what every commit passes
# make fuzz    the parsers against much more made-up input
# make bench   the table of the README: MAS beside Debian's Dovecot, as root (bench/README.md)
# make lock    renew the locked versions; make clean
#
# Needs Python 3.11 or newer and make. Everything that is installed goes into .venv (which may be a symbolic link).

SHELL := /bin/sh
# The tests start hundreds of Pythons, which without kept bytecode do nothing but compile.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
HERE := $(CURDIR)

# The stamps carry the hash of their lock file, so that nothing is installed twice and nothing is forgotten.
lock_hash = $(shell cksum < $(1) | tr ' ' -)
RUN := $(VENV)/.mas-run-$(call lock_hash,requirements.lock)
DEV := $(VENV)/.mas-dev-$(call lock_hash,requirements-dev.lock)

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes

.PHONY: run venv launcher check test bench fuzz lock clean
.DELETE_ON_ERROR:

run: venv
	$(BIN)/python -m mas demo

venv: $(RUN) launcher

check: $(DEV)
	$(BIN)/ruff format --check mas tests bench
	$(BIN)/ruff check mas tests bench
	$(BIN)/mypy
	$(BIN)/pytest -m "not e2e and not slow" --hypothesis-profile few -n 3 --dist worksteal

test: $(DEV)
	tests/install-servers
	$(BIN)/pytest -n 3 --dist worksteal

bench: $(DEV)
	$(BIN)/python bench/run.py

# Every test that makes up its own input, with many more inputs.
fuzz: $(DEV)
	$(BIN)/pytest -m hypothesis --hypothesis-profile fuzz --timeout 1800 -n 2

# The newest Python that can make an environment; Debian's can only with its venv package.
$(BIN)/python:
	@set -e; found=; \
	for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3; do \
		command -v $$python >/dev/null || continue; \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue; \
		: $${found:=$$python}; \
		if $$python -c 'import ensurepip, venv' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "Python 3.11 or newer is needed (or name one: make PYTHON=/path/to/python3)" >&2; exit 1; fi; \
	if ! $$found -c 'import ensurepip, venv' 2>/dev/null; then \
		package=$$($$found -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		if [ "$$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; \
		else echo "please install it first: apt-get install $$package" >&2; exit 1; fi; \
		$$as_root apt-get update -q; DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -qy --no-install-recommends $$package; \
	fi; \
	$$found -m venv $(VENV)

$(RUN): requirements.lock | $(BIN)/python
	$(INSTALL) -r requirements.lock
	@touch $@

# The development lock holds what the other one holds, and more.
$(DEV): requirements-dev.lock | $(BIN)/python
	$(INSTALL) -r requirements-dev.lock
	@touch $@

# The checkout itself is not installed: .venv/bin/mas runs what lies here.
launcher: | $(BIN)/python
	@printf '#!%s\nimport sys\n\nsys.path.insert(0, "%s")\nfrom mas.cli import main\n\nmain()\n' \
		"$(HERE)/$(BIN)/python" "$(HERE)" > $(BIN)/mas.new && chmod 755 $(BIN)/mas.new && mv $(BIN)/mas.new $(BIN)/mas

lock: $(DEV)
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev --constraint requirements.lock --universal --python-version 3.11 \
		--generate-hashes --upgrade --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet -o requirements-dev.lock

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis demo
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
