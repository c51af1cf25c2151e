"""Valid scripts and odd mails, generated, for two implementations to decide about.

A case is a mail and some snippets, each of which files by what its test said: ``fileinto "<n>.y.<what the wildcards matched>"`` or
``fileinto "<n>.n"``. So one process of the other implementation answers for a score of tests, and a difference names its test.
"""

from __future__ import annotations

from hypothesis import strategies as st

REQUIRE = (
    'require ["fileinto", "variables", "envelope", "subaddress", "body", "date", "index", "regex", "relational", "mime", "imap4flags", '
    '"enotify", "copy", "encoded-character", "comparator-i;ascii-numeric", "reject", "vacation", "mailbox", "editheader"];\n'
)
"""enotify for ``:encodeurl``, which makes a mailbox name of any text."""

WORDS = [
    "alpha",
    "Beta",
    "ALPHA",
    "a",
    "b",
    "12",
    "007",
    "12abc",
    "-5",
    "*",
    "?",
    "\\",
    "[x]",
    "Köln",
    "a*b",
    ".",
    "x@example.org",
]
NAMES = [
    "Subject",
    "X-A",
    "x-b",
    "List-Id",
    "From",
    "To",
    "Cc",
    "Reply-To",
    "Sender",
    "Date",
    "Received",
    "X-None",
    "Content-Type",
]
ADDRESS_NAMES = ["from", "To", "cc", "reply-to", "sender"]
DATE_NAMES = ["date", "Date", "received", "x-a", "subject", "x-none"]
ADDRESSES = [
    "pat@example.net",
    "Pat.Doe+lists@Example.ORG",
    "Pat Doe <pat+a+b@example.net>",
    '"Doe, Pat" <pat@example.com>',
    '"pat @ home"@example.net',
    "<pat@example.net>",
    "Team: a@example.net, B@example.com;",
    "<@relay.example.org,@b.example.org:pat@example.net>",
    "pat@example.net (Pat (the) Doe)",
    "(first) pat@example.net",
    "pat @ example . net",
    "pat@[192.0.2.1]",
    "pat",
    "Pat <pat>",
    "<>",
    "pat@",
    "@example.net",
    "pat@@example.net",
    "pat@example.net>",
    "<pat@example.net",
    "Pat Doe pat@example.net",
    "pat@example.net pat@example.com",
    "=?utf-8?q?P=C3=A4t?= <pat@example.net>",
    "=?utf-8?q?pat=40example=2Enet?=",
    "Pät <pat@example.net>",
    "pat@example.net.",
    "+detail@example.net",
    "pat+@example.net",
    "pat;b@example.net",
    '"a\\"b"@example.net',
    '"pat"@example.net',
]
ENCODED = [
    "=?utf-8?q?K=C3=B6ln?=",
    "=?UTF-8?B?YWxwaGE=?=",
    "=?iso-8859-1?Q?K=F6ln?= =?iso-8859-1?Q?_alpha?=",
    "=?utf-8?b?YWxw?=\n =?utf-8?b?aGE=?=",
    "=?utf-8*en?q?alpha?=",
    "=?us-ascii?q?al_pha?=",
    "=?nonsense?q?alpha?=",
    "=?utf-8?x?alpha?=",
    "=?utf-8?b?YWxwaGE?=",
    "=?utf-8?q?=E4?=",
    "(=?utf-8?q?alpha?=)",
    "a=?utf-8?q?b?=",
    "=?utf-8?q?b?=a",
    "=?utf-8?q??=",
    '"=?utf-8?q?alpha?="',
    "=?windows-1252?q?=80?=",
]
DATES = [
    "Tue, 03 Mar 2026 09:30:00 +0100",
    "Sat, 28 Feb 2026 23:59:59 -0530",
    "3 Mar 2026 09:30 +0000",
    "Tue, 3 Mar 26 09:30:00 GMT",
    "Tue, 03 Mar 2026 09:30:00 EST",
    "Tue, 03 Mar 2026 09:30:00 -0000",
    "Tue, 03 Mar 2026 09:30:00 +0100 (CET)",
    "Mon, 03 Mar 2026 09:30:00 +0100",
    "Thu, 29 Feb 2024 12:00:00 +1300",
    "31 Feb 2026 12:00:00 +0000",
    "Tue, 03 Mar 2026 24:00:00 +0000",
    "Tue, 03 Mar 2026 23:59:60 +0000",
    "tue, 03 mar 2026 09:30:00 z",
    "Tue, 03 Mar 2026",
    "2026-03-03T09:30:00Z",
    "Tue,03 Mar 2026 09:30:00 +0100",
    "01 Jan 1970 00:00:00 +0000",
    "01 Jan 1969 00:00:00 +0000",
    "Tue, 03 Mar 99 09:30:00 +0000",
    "Tue, 03 Mar 2026 09:30:00",
    "",
]
DATE_PARTS = [
    *[
        "year",
        "month",
        "day",
        "date",
        "julian",
        "hour",
        "minute",
        "second",
        "time",
        "iso8601",
        "std11",
        "zone",
        "weekday",
    ],
]
BODIES = ["Hello alpha, Köln\n", "a\n", "alpha * beta ?\nline two\n", "no end of line"]
PARTS = [
    "Content-Type: text/plain; charset=utf-8\n\nalpha in Köln\n",
    "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nK=F6ln is al=\npha\n",
    "Content-Type: TEXT/HTML; charset=utf-8\n\n<p>alpha</p>\n",
    'Content-Type: image/png; name="a picture.png"\nContent-Transfer-Encoding: base64\n'
    "Content-Disposition: attachment; filename=alpha.png\n\niVBORw0KGgo=\n",
    "Content-Type: application/pdf\nContent-Disposition: ATTACHMENT;\n filename*=utf-8''K%C3%B6ln.pdf\n\nalpha\n",
    "\nno header alpha\n",
    "Content-Type: message/rfc822\n\nFrom: inner@example.org\nSubject: alpha inner\n\ninner alpha\n",
    "Content-Type: multipart/alternative; boundary=in\n\n--in\n\nalpha\n--in\nContent-Type: text/html\n\n<b>beta</b>\n--in--\n",
    "Content-Type: text/plain; charset=nonsense\n\nalpha\n",
    "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nYWxwaGE=\n",
]

_space = st.sampled_from([" ", " ", "  ", "\n ", "\n\t", " \n  "])


@st.composite
def _text(draw: st.DrawFn) -> str:
    words = draw(st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(ENCODED)), max_size=4))
    return (
        "".join(word + draw(_space) for word in words[:-1])
        + "".join(words[-1:])
        + draw(st.sampled_from(["", "", " ", "\n "]))
    )


@st.composite
def _addresses(draw: st.DrawFn) -> str:
    return draw(st.sampled_from([", ", ",", ",\n ", " , ", ",, "])).join(
        draw(st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=3))
    )


@st.composite
def mails(draw: st.DrawFn) -> bytes:
    """A message with LF line ends: some fields, some more than once, and one part or several."""
    fields = []
    for name in draw(st.lists(st.sampled_from(NAMES[:-2]), min_size=1, max_size=9)):
        if name.lower() in map(str.lower, ADDRESS_NAMES):
            value = draw(_addresses())
        elif name in ("Date", "Received"):
            value = ("from a by b; " if name == "Received" else "") + draw(st.sampled_from(DATES))
        else:
            value = draw(_text())
        fields.append(f"{name}:{draw(st.sampled_from([' ', ' ', '', '  ']))}{value}\n")
    if draw(st.booleans()):
        return ("".join(fields) + "\n" + draw(st.sampled_from(BODIES))).encode()
    if draw(st.booleans()):
        return ("".join(fields) + draw(st.sampled_from(PARTS))).encode()
    kind = draw(st.sampled_from(["mixed", "alternative", "related"]))
    parts = draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=3))
    head = f'MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary="out"\n\npreamble alpha\n'
    return ("".join(fields) + head + "".join(f"--out\n{part}" for part in parts) + "--out--\nepilogue\n").encode()


def quoted(text: str) -> str:
    """A text as a Sieve string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _listed(draw: st.DrawFn, values: list[str]) -> str:
    return quoted(values[0]) if len(values) == 1 and draw(st.booleans()) else f"[{', '.join(map(quoted, values))}]"


KEYS = [
    *WORDS,
    "",
    "alp",
    "köln",
    "alpha Beta",
    "al_pha",
    "al pha",
    "0",
    "12",
    "7",
    "pat",
    "pat@example.net",
    "example",
    "example.net",
    "a+b",
]
PATTERNS = [
    "*",
    "?*",
    "*?",
    "?",
    "*a*",
    "a*",
    "*A",
    "*b*a*",
    "\\*",
    "*\\?*",
    "a\\b",
    "**",
    "*[*]*",
    "*@*",
    "*+*",
    "???",
    "*  *",
    "*ö*",
    "",
]
REGEXES = [
    "a",
    "^a",
    "[a-z]+",
    "(a|b)*",
    "([a-z]*)(.*)",
    "^$",
    ".",
    "A.*b",
    "[[:digit:]]+",
    "(al)(pha)?",
    "ö",
    "^(.*)@(.*)$",
    "a{2}",
    "\\*",
]
RELATIONS = ["gt", "ge", "lt", "le", "eq", "ne"]


@st.composite
def _matching(draw: st.DrawFn, number: st.SearchStrategy[str] | None = None) -> tuple[str, list[str]]:
    """Tags of a match type and comparator, and keys for them."""
    comparator = draw(st.sampled_from(["", "", "i;octet", "i;ascii-casemap"]))
    kind = draw(st.sampled_from(["", ":is", ":contains", ":matches", ":matches", ":regex", ":value", ":count"]))
    keys = st.sampled_from(KEYS)
    if kind == ":matches":
        # A backslash at the end ends Pigeonhole's process.
        keys = st.sampled_from([key for key in (*PATTERNS, *KEYS) if not key.endswith("\\")])
    elif kind == ":regex":
        keys = st.sampled_from(REGEXES)
    elif kind == ":value":
        # The order of i;ascii-casemap is another there.
        comparator = draw(st.sampled_from(["i;octet", "i;ascii-numeric"]))
        kind += f' "{draw(st.sampled_from(RELATIONS))}"'
        keys = keys if number is None else number
    elif kind == ":count":
        comparator = "i;ascii-numeric"
        kind += f' "{draw(st.sampled_from(RELATIONS))}"'
        keys = st.sampled_from(["0", "1", "2", "3"])
    tags = [kind, f':comparator "{comparator}"' if comparator else ""]
    if draw(st.booleans()):
        tags.reverse()
    return " ".join(filter(None, tags)), draw(st.lists(keys, min_size=1, max_size=3))


@st.composite
def _index(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(["", "", "", ":index 1", ":index 2", ":index 1 :last", ":last :index 2", ":index 3"]))


@st.composite
def _mime(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(["", "", "", ":mime", ":mime :anychild"]))


@st.composite
def _header(draw: st.DrawFn) -> str:
    match, keys = draw(_matching())
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2))
    return f"header {draw(_mime())} {draw(_index())} {match} {_listed(draw, names)} {_listed(draw, keys)}"


@st.composite
def _mime_header(draw: st.DrawFn) -> str:
    match, keys = draw(_matching())
    option = draw(
        st.sampled_from([":type", ":subtype", ":contenttype", ':param "name"', ':param ["filename", "charset"]'])
    )
    if ":param" in option:
        match, keys = (
            draw(st.sampled_from([":is", ":contains", ":matches"])),
            ["alpha*", "a picture.png", "a", "Köln.pdf"],
        )
    name = draw(st.sampled_from(["content-type", "content-disposition", "x-a"]))
    keys += draw(
        st.lists(
            st.sampled_from(["text", "plain", "text/plain", "alpha.png", "attachment", "utf-8", "t*/*"]), max_size=2
        )
    )
    return (
        f"header :mime {draw(st.sampled_from(['', ':anychild']))} {option} {match} {quoted(name)} {_listed(draw, keys)}"
    )


@st.composite
def _address(draw: st.DrawFn) -> str:
    match, keys = draw(_matching())
    part = draw(
        st.sampled_from(["", ":all", *([] if ":count" in match else [":localpart", ":domain", ":user", ":detail"])])
    )
    names = draw(st.lists(st.sampled_from(ADDRESS_NAMES), min_size=1, max_size=2))
    return f"address {draw(_mime())} {draw(_index())} {part} {match} {_listed(draw, names)} {_listed(draw, keys)}"


@st.composite
def _envelope(draw: st.DrawFn) -> str:
    match, keys = draw(_matching())
    part = draw(
        st.sampled_from(["", ":all", ":localpart", ":domain", ":user", *([] if ":count" in match else [":detail"])])
    )
    names = draw(st.sampled_from([["from"], ["To"], ["from", "to"]]))
    keys += draw(st.lists(st.sampled_from(["kim-bounces@example.org", "LEE", "lists", "example.net"]), max_size=1))
    return f"envelope {part} {match} {_listed(draw, names)} {_listed(draw, keys)}"


@st.composite
def _exists(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from([*NAMES, "content-disposition"]), min_size=1, max_size=2))
    return f"exists {draw(_mime())} {_listed(draw, names)}"


@st.composite
def _size(draw: st.DrawFn) -> str:
    return f"size {draw(st.sampled_from([':over', ':under']))} {draw(st.sampled_from(['0', '1', '1M', '1G']))}"


@st.composite
def _date(draw: st.DrawFn) -> str:
    number = st.sampled_from(["2026", "03", "3", "09", "1970", "0", "2026-03-03", "09:30:00"])
    match, keys = draw(_matching(number))
    keys += draw(st.lists(number, max_size=1))
    zone = draw(
        st.sampled_from(["", ":originalzone", ':zone "+0000"', ':zone "+0200"', ':zone "-0530"', ':zone "+1400"'])
    )
    if not zone:
        zone = ':zone "+0000"'  # the zone of the host is no matter of the language
    return (
        f"date {zone} {match} {quoted(draw(st.sampled_from(DATE_NAMES)))} "
        f"{quoted(draw(st.sampled_from(DATE_PARTS)))} {_listed(draw, keys)}"
    )


@st.composite
def _body(draw: st.DrawFn) -> str:
    match, keys = draw(_matching())
    kinds = ["", ":raw", ":text", ':content "text"', ':content "text/plain"', ':content ["image", "message/rfc822"]']
    kinds += [':content ""', ':content "multipart"', ':content "application/pdf"']
    return f"body {draw(st.sampled_from(kinds))} {match} {_listed(draw, keys)}"


@st.composite
def _string(draw: st.DrawFn) -> str:
    match, keys = draw(_matching())
    sources = draw(st.lists(st.sampled_from(STRINGS), min_size=1, max_size=2))
    if "comparator" not in match:
        match += ' :comparator "i;ascii-casemap"'  # Pigeonhole 2.3 has another default
    return f"string {match} {_listed(draw, sources)} {_listed(draw, keys)}"


@st.composite
def _hasflag(draw: st.DrawFn) -> str:
    match, keys = draw(_matching())
    if ":regex" not in match:
        keys += draw(st.lists(st.sampled_from(["\\Seen", "\\seen \\flagged", "$x", "\\*"]), max_size=2))
    return f"hasflag {match} {draw(st.sampled_from(['', quoted('v'), quoted('w')]))} {_listed(draw, keys)}"


STRINGS = [
    *WORDS,
    "${v}",
    "${w}x",
    "${1}",
    "${0}",
    "${2}-${9}",
    "${none}",
    "",
    " a ",
    "${ v}",
    "${v",
    "$${v}",
    "${hex:41 62}",
    "${unicode:f6}",
]
SET = [":lower", ":upper", ":lowerfirst", ":upperfirst", ":quotewildcard", ":length", ":encodeurl"]
FLAGS = [
    "\\Seen",
    "\\Flagged",
    "$x",
    "$X",
    "key word",
    "\\Nonsense",
    "",
    "\\seen",
    "a*b",
    "a",
    "\\*",
    "x]",
    "Köln",
    "${v}",
]


@st.composite
def _assignment(draw: st.DrawFn) -> str:
    modifiers = draw(
        st.lists(st.sampled_from(SET), max_size=2, unique_by=lambda name: {"lower": 4, "upper": 4}.get(name[1:6], name))
    )
    return f"set {' '.join(modifiers)} {quoted(draw(st.sampled_from(['v', 'w', 'V'])))} {quoted(draw(st.sampled_from(STRINGS)))};"


@st.composite
def _flagging(draw: st.DrawFn) -> str:
    verb = draw(st.sampled_from(["setflag", "addflag", "removeflag"]))
    flags = draw(st.lists(st.sampled_from(FLAGS), min_size=1, max_size=3))
    return f"{verb} {draw(st.sampled_from(['', quoted('v'), quoted('w')]))} {_listed(draw, flags)};"


@st.composite
def _edit(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(["Subject", "X-A", "x-b", "X-New", "List-Id"]))
    if draw(st.booleans()):
        return (
            f"addheader {draw(st.sampled_from(['', ':last']))} {quoted(name)} {quoted(draw(st.sampled_from(STRINGS)))};"
        )
    if draw(st.booleans()):
        match, keys = draw(_matching().filter(lambda matching: ":count" not in matching[0]))
        # With :count, or with :index as well, Pigeonhole's process may end.
        return f"deleteheader {match} {quoted(name)} {_listed(draw, keys)};"
    return f"deleteheader {draw(st.sampled_from(['', ':index 1', ':index 1 :last', ':index 2']))} {quoted(name)};"


simple_tests = st.one_of(
    _header(),
    _address(),
    _address(),
    _envelope(),
    _exists(),
    _size(),
    _date(),
    _body(),
    _string(),
    _hasflag(),
    _mime_header(),
)


@st.composite
def _joined(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    tests = draw(st.lists(inner, min_size=1, max_size=3))
    return f"{draw(st.sampled_from(['allof', 'anyof']))} ({', '.join(tests)})"


tests = st.recursive(
    st.one_of(simple_tests, simple_tests, st.sampled_from(["true", "false"])),
    lambda inner: st.one_of(inner.map(lambda test: f"not {test}"), _joined(inner)),
    max_leaves=4,
)
changes = st.one_of(_assignment(), _assignment(), _flagging(), _edit())

SHOWN = "${1}|${2}|${3}"


@st.composite
def snippets(draw: st.DrawFn, inner: st.SearchStrategy[str] = tests) -> str:
    """A change or none, then a test whose outcome is filed under ``%d``, the snippet's number."""
    before = " ".join(draw(st.lists(changes, max_size=1)))
    return (
        f'if string :matches "" "" {{}} {before}\n'
        f'if {draw(inner)} {{ set :encodeurl "_" {quoted(SHOWN)}; fileinto :copy "%d.y.${{_}}"; }} else {{ fileinto :copy "%d.n"; }}'
    )


ACTIONS = [
    *["keep;", "discard;", "stop;", 'fileinto "a";', 'fileinto "b";', 'fileinto :copy "a";', 'fileinto "INBOX";'],
    *[
        'fileinto :create "a";',
        'fileinto :flags "\\\\Seen" "a";',
        'keep :flags ["$x", "\\\\Flagged"];',
        'fileinto "${v}a";',
    ],
    *[
        'redirect "a@example.com";',
        'redirect :copy "a@example.com";',
        'redirect "<b@example.com>";',
        'redirect "B <b@example.com>";',
    ],
    *['reject "no";', 'vacation "away";', 'vacation :days 3 :subject "s" "away";', 'notify "mailto:a@example.net";'],
    *['vacation :addresses ["x@example.net"] :handle "h" "away";', 'fileinto :flags "" "b";'],
]


@st.composite
def _block(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    return " ".join(draw(st.lists(inner, max_size=3)))


@st.composite
def _branches(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    block = _block(inner)
    text = f"if {draw(tests)} {{ {draw(block)} }}"
    for _ in range(draw(st.integers(0, 2))):
        text += f"\nelsif {draw(tests)} {{ {draw(block)} }}"
    return text + (f"\nelse {{ {draw(block)} }}" if draw(st.booleans()) else "")


commands = st.recursive(
    st.one_of(st.sampled_from(ACTIONS), st.sampled_from(ACTIONS), changes), lambda inner: _branches(inner), max_leaves=6
)
programs = st.lists(commands, min_size=1, max_size=5).map("\n".join)
