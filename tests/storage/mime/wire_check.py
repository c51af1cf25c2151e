"""A strict reader of IMAP lists: what the server writes must be read by it whole."""

from __future__ import annotations

import re

Value = bytes | None | int | list["Value"]
_TOKEN = re.compile(rb'"((?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*)"|\{(\d+)\}\r\n|(NIL)|(\d+)|(\()|(\))')
_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def read(wire: bytes) -> Value:
    """The one value that ``wire`` holds: string = bytes, nil = None, number = int, list = list. AssertionError when it is not IMAP.

    Between elements there is one space, but none between lists where IMAP writes none: ``(address)(address)``, ``(part)(part)``.
    """
    stack: list[list[Value]] = [[]]
    at = 0
    space = True  # an element may begin here
    while at < len(wire):
        if wire[at : at + 1] == b" ":
            assert not space, f"space at {at}"
            space = True
            at += 1
            continue
        match = _TOKEN.match(wire, at)
        assert match, f"no token at {at}: {wire[at : at + 40]!r}"
        at = match.end()
        if match[6]:
            assert len(stack) > 1, f"unbalanced at {at}"
            done = stack.pop()
            stack[-1].append(done)
            space = False
            continue
        assert space or (match[5] and isinstance(stack[-1][-1], list)), f"no space before {at}"
        if match[5]:
            stack.append([])
            space = True
            continue
        space = False
        if match[2] is not None:
            size = int(match[2])
            value = wire[at : at + size]
            assert len(value) == size
            assert b"\0" not in value
            at += size
            stack[-1].append(value)
        elif match[3]:
            stack[-1].append(None)
        elif match[4]:
            stack[-1].append(int(match[4]))
        else:
            stack[-1].append(_PAIR.sub(rb"\1", match[1]))
    assert len(stack) == 1
    assert len(stack[0]) == 1
    return stack[0][0]


def check_envelope(value: Value) -> None:
    """envelope [RFC9051 9]."""
    assert isinstance(value, list)
    assert len(value) == 10
    for place, element in enumerate(value):
        if 2 <= place <= 7:
            assert element is None or (isinstance(element, list) and element)
            for address in element or []:
                assert isinstance(address, list)
                assert len(address) == 4
                assert all(item is None or isinstance(item, bytes) for item in address)
        else:
            assert element is None or isinstance(element, bytes)


def check_body(value: Value, extended: bool) -> int:
    """body [RFC9051 9]; returns how many parts it has, messages in messages counted."""
    assert isinstance(value, list)
    if isinstance(value[0], list):
        children = 0
        while isinstance(value[children], list):
            children += 1
        count = sum(check_body(child, extended) for child in value[:children])
        rest = value[children:]
        assert isinstance(rest[0], bytes)
        assert len(rest) == (5 if extended else 1)
        if extended:
            check_parameters(rest[1])
            check_extension(rest[2:])
        return count + 1
    kind, subtype, parameters, _id, _description, encoding, size = value[:7]
    assert isinstance(kind, bytes)
    assert isinstance(subtype, bytes)
    check_parameters(parameters)
    assert isinstance(encoding, bytes)
    assert isinstance(size, int)
    rest = value[7:]
    count = 1
    if kind.lower() == b"text":
        assert isinstance(rest[0], int)
        rest = rest[1:]
    elif kind.lower() == b"message" and subtype.lower() in (b"rfc822", b"global"):
        check_envelope(rest[0])
        count += check_body(rest[1], extended)
        assert isinstance(rest[2], int)
        rest = rest[3:]
    assert len(rest) == (4 if extended else 0)
    if extended:
        assert rest[0] is None or isinstance(rest[0], bytes)
        check_extension(rest[1:])
    return count


def check_parameters(value: Value) -> None:
    """body-fld-param."""
    if value is not None:
        assert isinstance(value, list)
        assert value
        assert len(value) % 2 == 0
        assert all(isinstance(item, bytes) for item in value)


def check_extension(rest: list[Value]) -> None:
    """body-fld-dsp body-fld-lang body-fld-loc."""
    disposition, languages, location = rest
    if disposition is not None:
        assert isinstance(disposition, list)
        assert isinstance(disposition[0], bytes)
        check_parameters(disposition[1])
    assert languages is None or (isinstance(languages, list) and languages)
    assert location is None or isinstance(location, bytes)


def collapsed(value: Value) -> Value:
    """Runs of white space in every string as one space: Dovecot sometimes announces them longer than it writes them."""
    if isinstance(value, bytes):
        return b" ".join(value.split())
    if isinstance(value, list):
        return [collapsed(item) for item in value]
    return value
