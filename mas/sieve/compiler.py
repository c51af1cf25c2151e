"""A script's octets to a Program, or to all its mistakes.

``compile_script`` decodes, parses and binds: each command and test is looked up in the registry, its arguments checked against the
definition, strings decoded and split at variables, matchers made. Errors of one call do not hide those of the next; a call with
mistakes is left out of the program, which then is not returned at all.

Knows the words of the language itself (require, if, elsif, else) and nothing of any other command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from mas.sieve import strings
from mas.sieve.definition import BlockUse, Definition, Kind, Parameter, Registry, Role, TagRule, Tests
from mas.sieve.limits import Limits
from mas.sieve.match import NUMERIC, RELATIONS, Matcher
from mas.sieve.matching import shortcut
from mas.sieve.parser import parse
from mas.sieve.program import Call, Program, Template, Text, Value, cost
from mas.sieve.source import Problem, RunError, ScriptError, Source
from mas.sieve.syntax import Argument, Node, Number, Strings, Tag

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

_BETWEEN = {"and": "allof", "or": "anyof"}
_CHAIN = frozenset({"if", "elsif", "else"})


def compile_script(script: bytes, registry: Registry, limits: Limits | None = None, name: str = "") -> Program:
    """Compile a script. Raises ScriptError with every problem found, at most ``limits.max_errors``, in order of place."""
    limits = limits or Limits()
    if len(script) > limits.max_script_size:
        raise ScriptError([Problem(1, 1, f"script is larger than {limits.max_script_size} octets (max_script_size)")])
    try:
        text = script.decode("utf-8")
    except UnicodeDecodeError as error:
        before = script[: error.start].decode("utf-8")
        raise ScriptError([Source(name, before).problem(len(before), "not UTF-8")]) from None
    source = Source(name, text.removeprefix("\ufeff"))
    nodes, problems = parse(source, limits)
    checker = Checker(source, registry, limits, required=set(registry.implicit))
    calls = checker.script(nodes)
    problems = sorted({*problems, *checker.problems})[: limits.max_errors]
    if problems:
        raise ScriptError(problems)
    return Program(
        name,
        tuple(calls),
        frozenset(checker.required),
        tuple(checker.warnings),
        frozenset(registry.extensions),
        cost(calls),
    )


def _has_variables(value: Value) -> bool:
    return any(isinstance(text, Template) for text in (value if isinstance(value, tuple) else (value,)))


def run_unknown(run: Run, call: Call) -> None:
    """What no extension of this registry knows, in a script that requires ``ihave``."""
    raise RunError(f"unknown {call.definition.role.value} {call.definition.name!r}", call.line)


def run_needing(run: Run, call: Call) -> Any:
    """A call whose extensions only ``ihave`` can have enabled [RFC5463 4]."""
    if not call.needs <= run.enabled:
        missing = ", ".join(sorted(call.needs - run.enabled))
        raise RunError(f"{call.definition.name} needs extension {missing}, which no ihave has found", call.line)
    return call.definition.handler(run, call)


def unknown(name: str, role: Role) -> Definition:
    """A definition for a word that is known to nobody here."""
    return Definition(name, role, run_unknown)


@dataclass(slots=True)
class Checker:
    """Binds the tree of one script. Checks of definitions get it to note problems and to ask what is required.

    enclosing: the commands in whose blocks the call at hand stands, the innermost last (``if`` is none).
    """

    source: Source
    registry: Registry
    limits: Limits
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    required: set[str] = field(default_factory=set)
    enclosing: list[Call] = field(default_factory=list)
    _needs: set[str] = field(default_factory=set)
    _constant: bool = True
    """No string holds more than its characters."""

    def note(self, offset: int, text: str) -> None:
        """A mistake at a place."""
        if len(self.problems) < self.limits.max_errors:
            self.problems.append(self.source.problem(offset, text))

    def warn(self, offset: int, text: str) -> None:
        """Allowed, and probably not meant."""
        if len(self.warnings) < self.limits.max_errors:
            self.warnings.append(str(self.source.problem(offset, text)))

    def allows(self, extension: str) -> bool:
        """Whether an extension may be used here: required, or left to ``ihave`` to decide at run time."""
        if not extension or extension in self.required:
            return True
        if "ihave" in self.required and not (
            extension in self.registry.extensions and self.registry.extensions[extension].interprets
        ):
            self._needs.add(extension)
            return True
        return False

    # Structure

    def script(self, nodes: Sequence[Node]) -> list[Call]:
        at = 0
        while at < len(nodes) and nodes[at].name == "require":
            self.require(nodes[at])
            at += 1
        self._constant = self.required.isdisjoint(("encoded-character", "variables"))
        return self.commands(nodes[at:])

    def require(self, node: Node) -> None:
        if (
            len(node.arguments) != 1
            or not isinstance(node.arguments[0], Strings)
            or node.tests
            or node.block is not None
        ):
            if node.tests and node.arguments:
                self.note(node.tests[0].offset, f"is a ';' missing before {node.tests[0].name!r}? It ends a require")
            else:
                self.note(node.offset, "require takes one string list and ends in ';'")
            return
        for name, offset in zip(node.arguments[0].values, node.arguments[0].offsets, strict=True):
            if name in self.registry.extensions:
                self.required.add(name)
                self.required.update(self.registry.extensions[name].implies)
                if self.registry.extensions[name].deprecated:
                    self.warn(offset, f"{name!r} {self.registry.extensions[name].deprecated}")
            elif name in ("comparator-i;octet", "comparator-i;ascii-casemap"):
                continue
            else:
                near = get_close_matches(name, self.registry.capabilities(), 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                self.note(offset, f"unsupported extension {name!r}{hint}")

    def commands(self, nodes: Sequence[Node]) -> list[Call]:
        calls: list[Call] = []
        chain: Call | None = None
        for node in nodes:
            if node.name == "require":
                self.note(node.offset, "require must come before all other commands")
                chain = None
                continue
            if node.name in _CHAIN:
                chain = self.branch(node, chain)
                if chain is not None and node.name == "if":
                    calls.append(chain)
                if node.name == "else":
                    chain = None
                continue
            chain = None
            call = self.bind(node, Role.COMMAND)
            if call is not None:
                calls.append(call)
        return calls

    def branch(self, node: Node, chain: Call | None) -> Call | None:
        if node.name == "if":
            chain = Call(self.registry.find(Role.COMMAND, "if")[0], self.source.line(node.offset), node.offset)
        elif chain is None:
            self.note(node.offset, f"{node.name} without an if before it")
            chain = Call(self.registry.find(Role.COMMAND, "if")[0], 0, node.offset)
        if node.name == "else" and node.tests and node.tests[0].name == "if":
            self.note(node.offset, "'else if' is one word: elsif")
            self.commands(node.block or ())
            return None
        if node.arguments:
            self.note(node.arguments[0].offset, f"{node.name} takes no arguments")
        wanted = 0 if node.name == "else" else 1
        if len(node.tests) != wanted or (node.parenthesised and wanted):
            self.note(node.offset, f"{node.name} takes {'no test' if not wanted else 'exactly one test'}")
        if node.block is None:
            self.note(node.offset, f"{node.name} needs a block")
        tests = self.tests(node)
        chain.steps += sum(test.steps for test in tests)
        block = self.commands(node.block or ())
        chain.branches.append((tests[0] if wanted and tests else None, block))
        return chain

    def definition(self, node: Node, role: Role) -> Definition | None:
        found = self.registry.find(role, node.name)
        if not found:
            other = Role.TEST if role is Role.COMMAND else Role.COMMAND
            if self.registry.find(other, node.name):
                self.note(node.offset, f"{node.name!r} is a {other.value}, not a {role.value}")
            else:
                known = [name for kind, name in self.registry.definitions if kind is role]
                near = get_close_matches(node.name, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                if "ihave" in self.required:
                    # It may belong to an extension that ihave will not find: an error when it is reached [RFC5463 4].
                    self.warn(node.offset, f"unknown {role.value} {node.name!r}{hint}")
                    return unknown(node.name, role)
                self.note(node.offset, f"unknown {role.value} {node.name!r}{hint}")
            return None
        for definition in found:
            if not definition.needs or definition.needs in self.required:
                return definition
        if self.allows(found[0].needs):
            return found[0]
        self.note(node.offset, f"{node.name!r} needs require {found[0].needs!r}")
        return found[0]

    def bind(self, node: Node, role: Role) -> Call | None:
        outer, self._needs = self._needs, set()
        definition = self.definition(node, role)
        if definition is None:
            for inner in node.tests:
                self.bind(inner, Role.TEST)
            self.commands(node.block or ())
            self._needs = outer
            return None
        call = Call(definition, self.source.line(node.offset), node.offset)
        if definition.handler is run_unknown:
            self._needs = outer
            return call
        before = len(self.problems)
        self.arguments(node, definition, call)
        self.shape(node, definition)
        if definition.matches:
            self.matcher(call)
        if definition.check and len(self.problems) == before:
            definition.check(self, call)
        call.plain &= definition.plain and (
            self._constant or not any(map(_has_variables, (*call.arguments.values(), *call.values.values())))
        )
        if definition.question and call.matcher and (asked := definition.question(call)):
            question = f"{call.matcher.comparator}\0{asked}"
            quick = shortcut(call, question)
            if quick is not None:
                call.question, call.handler = question, quick
        if self._needs:
            call.needs = frozenset(self._needs)
            call.handler = run_needing
        self._needs = outer
        if node.tests and definition.tests is not Tests.NONE:
            call.tests = self.tests(node)
            call.steps += sum(test.steps for test in call.tests)
        if node.block:
            self.enclosing.append(call)
            call.block = self.commands(node.block)
            self.enclosing.pop()
        return call

    def tests(self, node: Node) -> list[Call]:
        """The tests of a call that could be bound."""
        bound = []
        for test in node.tests:
            call = self.bind(test, Role.TEST)
            if call is not None:
                bound.append(call)
        return bound

    def misplaced(self, node: Node, definition: Definition) -> str:
        """What may be meant by a word that stands where no test can."""
        word = node.tests[0].name
        if word in _BETWEEN:
            return f"there is no {word!r} between tests: write {_BETWEEN[word]} (TEST, TEST)"
        if definition.role is Role.TEST and self.registry.find(Role.COMMAND, word):
            return f"{node.name} takes no test: is a '{{' missing before {word!r}?"
        if definition.role is Role.TEST and not self.registry.find(Role.TEST, word):
            return f"{word!r} is no test here; a string stands in quotes"
        return f"{node.name} takes no test: is a ';' missing before {word!r}?"

    def shape(self, node: Node, definition: Definition) -> None:
        count = len(node.tests)
        if definition.tests is Tests.NONE and count:
            self.note(node.tests[0].offset, self.misplaced(node, definition))
        elif definition.tests is Tests.ONE and (count != 1 or node.parenthesised):
            self.note(node.offset, f"{node.name} takes exactly one test")
        elif definition.tests is Tests.MANY and not node.parenthesised:
            self.note(node.offset, f"{node.name} takes a list of tests in parentheses")
        if definition.block is BlockUse.NONE and node.block is not None:
            self.note(node.offset, f"{node.name} takes no block")
        elif definition.block is BlockUse.REQUIRED and node.block is None:
            self.note(node.offset, f"{node.name} needs a block")

    # Arguments

    def arguments(self, node: Node, definition: Definition, call: Call) -> None:
        rules = self.registry.rules(definition)
        positional: list[Argument] = []
        arguments = iter(node.arguments)
        for argument in arguments:
            if not isinstance(argument, Tag):
                positional.append(argument)
                continue
            if positional:
                self.note(
                    argument.offset, f"tag :{argument.name} must stand before the positional arguments of {node.name}"
                )
            rule = rules.get(argument.name)
            if rule is None:
                near = get_close_matches(argument.name, rules, 1)
                hint = f"; did you mean :{near[0]}?" if near else ""
                self.note(argument.offset, f"{node.name} takes no tag :{argument.name}{hint}")
                continue
            if not self.allows(rule.needs):
                self.note(argument.offset, f":{argument.name} needs require {rule.needs!r}")
            if rule.slot in call.tags:
                other = call.tags[rule.slot]
                twice = (
                    f":{argument.name} is given twice"
                    if other == argument.name
                    else f":{argument.name} and :{other} exclude each other"
                )
                self.note(argument.offset, twice)
            call.tags[rule.slot] = argument.name
            call.offsets[rule.slot] = argument.offset
            call.plain &= rule.plain
            if rule.value is None:
                continue
            value = next(arguments, None)
            if value is None or isinstance(value, Tag):
                self.note(argument.offset, f":{argument.name} must be followed by {rule.value.value}")
                continue
            bound = self.value(value, rule.value, f":{argument.name}", rule)
            if bound is not None:
                call.values[rule.slot] = bound
                call.offsets[rule.slot] = value.offset
        for name in call.tags.values():
            rule = rules[name]
            if rule.beside and rule.beside not in call.tags.values():
                self.note(call.offsets[rule.slot], f":{name} needs :{rule.beside}")
        self.positional(node, definition, positional, call)

    def positional(self, node: Node, definition: Definition, arguments: list[Argument], call: Call) -> None:
        parameters: Sequence[Parameter] = definition.parameters
        spare = len(parameters) - len(arguments)
        if spare > 0:
            left_out = [parameter for parameter in parameters if parameter.optional][:spare]
            parameters = [parameter for parameter in parameters if parameter not in left_out]
        if len(arguments) != len(parameters):
            wanted = ", ".join(
                f"{p.name} ({p.kind.value})" + (" optional" if p.optional else "") for p in definition.parameters
            )
            self.note(node.offset, f"{node.name} takes {wanted or 'no positional arguments'}; {len(arguments)} given")
            return
        for parameter, argument in zip(parameters, arguments, strict=True):
            bound = self.value(argument, parameter.kind, parameter.name, parameter)
            if bound is not None:
                call.arguments[parameter.name] = bound
                if isinstance(bound, tuple) and all(isinstance(text, str) for text in bound):
                    call.lists[parameter.name] = bound  # type: ignore[assignment]  # just looked at
                call.offsets[parameter.name] = argument.offset

    def value(self, argument: Argument, kind: Kind, name: str, rule: Parameter | TagRule) -> Value | None:
        if kind is Kind.NUMBER:
            if isinstance(argument, Number):
                return argument.value
        elif isinstance(argument, Strings):
            if kind is Kind.STRING and argument.bracketed:
                self.note(argument.offset, f"{name} takes a string, not a list")
                return None
            texts: tuple[Text, ...] = argument.values
            if not self._constant or rule.check:
                places = zip(argument.values, argument.offsets, strict=True)
                texts = tuple([self.text(text, at, name, rule) for text, at in places])
            return texts if kind is Kind.STRINGS else texts[0]
        got = (
            "a number"
            if isinstance(argument, Number)
            else ("a string list" if argument.bracketed else "a string")
            if isinstance(argument, Strings)
            else "a tag"
        )
        self.note(argument.offset, f"{name} takes {kind.value}, not {got}")
        return None

    def text(self, text: str, offset: int, name: str, rule: Parameter | TagRule) -> Text:
        if not self._constant and "${" in text:
            if "encoded-character" in self.required:
                try:
                    text = strings.decode_characters(text)
                except ValueError as error:
                    self.note(offset, str(error))
                    return text
            if "variables" in self.required and "${" in text:
                self.namespaces(text, offset)
                template = strings.template(text)
                if isinstance(template, Template):
                    if rule.constant:
                        self.note(offset, f"{name} must be a constant string, without variables")
                    return template
                text = template
        if rule.check:
            rule.check(self, text, offset)
        return text

    def namespaces(self, text: str, offset: int) -> None:
        """A namespace needs its extension [RFC5229 3]."""
        for name in strings.namespaces(text):
            extension = self.registry.namespaces.get(name)
            if extension is None:
                self.note(offset, f"no variables have the namespace {name!r}")
            elif not self.allows(extension):
                self.note(offset, f"variables of the namespace {name!r} need require {extension!r}")

    # Matching

    def matcher(self, call: Call) -> None:
        """Match type, comparator and keys of a test."""
        comparators = self.registry.comparators()
        comparator = call.values.get("comparator", "i;ascii-casemap")
        offset = call.offsets.get("comparator", call.offset)
        if not isinstance(comparator, str):
            self.note(offset, "the comparator must be a constant string")
            return
        if comparator not in comparators:
            near = get_close_matches(comparator, comparators, 1)
            self.note(offset, f"unknown comparator {comparator!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
            return
        if not self.allows(comparators[comparator]):
            self.note(offset, f"comparator {comparator!r} needs require {comparators[comparator]!r}")
        kind = call.tags.get("match-type", "is")
        where = call.offsets.get("match-type", call.offset)
        if comparator == NUMERIC and kind in ("contains", "matches", "regex"):
            self.note(where, f":{kind} does not work with comparator {NUMERIC!r}")
            return
        relation = ""
        if kind in ("count", "value"):
            relation = str(call.values.get("match-type", "")).lower()
            if relation not in RELATIONS:
                self.note(where, f":{kind} takes one of {', '.join(sorted(RELATIONS))}")
                return
        call.matcher = Matcher(kind, comparator, relation)
        keys = call.arguments.get("keys")
        if kind == "regex" and isinstance(keys, tuple):
            self.patterns(call, keys)
            return
        if "keys" in call.lists and kind != "list":
            call.matcher.keys = call.matcher.prepare(call.lists["keys"])

    def patterns(self, call: Call, keys: tuple[Text, ...]) -> None:
        """Regular expressions, compiled now where they are constant."""
        assert call.matcher is not None
        constant = [key for key in keys if isinstance(key, str)]
        try:
            prepared = call.matcher.prepare(constant, self.registry.regex)
        except RunError as error:
            self.note(call.offsets["keys"], error.text)
            return
        if len(constant) == len(keys):
            call.matcher.keys = prepared
