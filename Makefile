# The two commands of the README are `run` and `test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: check
check:
	$(BIN)/ruff format --check mas tests
	$(BIN)/ruff check mas tests
	$(BIN)/mypy
	$(BIN)/pytest -m "not e2e" -n 2
