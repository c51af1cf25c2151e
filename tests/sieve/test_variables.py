"""variables: names, references, modifiers, values of wildcards. [RFC5229]"""

from __future__ import annotations

from pathlib import Path

from mas.sieve.actions import FileInto
from mas.sieve.limits import Limits
from tests.sieve.support import run_script
from tests.sieve.tables import Row, check_mistakes, check_rows, gives, into, no, yes

REQUIRE = (
    'require ["variables", "fileinto", "regex", "relational", "comparator-i;ascii-numeric", "encoded-character"];\n'
)
ROWS = [
    Row('set "a" "x"; fileinto "v${a}";', into("vx")),
    Row('set "A_1" "x"; fileinto "${a_1}";', into("x")),
    Row('fileinto "v${unset}";', into("v")),
    Row('set "a" "${b}"; set "b" "x"; fileinto "v${a}";', into("v")),
    Row('set "a" "b"; set "b" "x"; fileinto "${${a}}";', into("${b}")),
    Row('set "a" "$"; fileinto "${a}{a}";', into("${a}")),
    Row('fileinto "${a b}${}${1a}$";', into("${a b}${}${1a}$")),
    Row('set :lower "a" "ÄBC"; fileinto "${a}";', into("Äbc")),
    Row('set :upper "a" "äbc"; fileinto "${a}";', into("äBC")),
    Row('set :upperfirst "a" "abc"; fileinto "${a}";', into("Abc")),
    Row('set :lowerfirst "a" "ABC"; fileinto "${a}";', into("aBC")),
    Row('set :upperfirst :lower "a" "aBC"; fileinto "${a}";', into("Abc")),
    Row('set :length "a" "äöü"; fileinto "${a}";', into("3")),
    Row('set :length "a" ""; fileinto "${a}";', into("0")),
    Row('set :quotewildcard "a" "*?\\\\"; fileinto "q${a}";', into("q\\*\\?\\\\")),
    Row('set :quotewildcard :length "a" "**"; fileinto "${a}";', into("4")),
    Row('set :upper "x" "a"; set "x" "b"; fileinto "${x}";', into("b")),
    # Wildcards: each takes as little as it can; the values stay until the next match that succeeds.
    gives('header :matches "subject" "[*]*"', "list"),
    gives('string :matches "a-b-c" "*-*"', "a"),
    gives('string :matches "abc" "?*"', "a"),
    gives('string :matches "abc" "*c"', "ab"),
    Row('if string :matches "a.b" "*.*" {} if string :matches "x" "y*" {} fileinto "${2}${1}";', into("ba")),
    Row('if string :matches "a.b" "*.*" { if string :matches "c" "*" {} } fileinto "${1}${2}";', into("c")),
    Row('if string :is "a" "a" {} fileinto "v${0}";', into("v")),
    Row('if string :matches "abc" "*" { fileinto "v${00}${01}"; }', into("vabcabc")),
    Row('if string :matches "1234567890" "??????????" { fileinto "${10}${9}"; }', into("09")),
    # string does not strip, header does.
    no('string " a" "a"'),
    yes('string "" ""'),
    yes('string :contains ["a", "b"] "b"'),
    yes('string :count "eq" :comparator "i;ascii-numeric" ["a", "", "${unset}"] "1"'),
    yes('string :value "gt" :comparator "i;ascii-numeric" "10" "9"'),
]
MISTAKES = [
    ('set "1" "x";', "is not a variable name"),
    ('set "a b" "x";', "is not a variable name"),
    ('set "" "x";', "is not a variable name"),
    ('set "a.b" "x";', "is not a variable name"),
    ('set "${a}" "x";', "constant string"),
    ('set "a";', "set"),
    ('set :lower :upper "a" "x";', "exclude each other"),
    ('set :lowerfirst :upperfirst "a" "x";', "exclude each other"),
    ('set :reverse "a" "x";', "takes no tag :reverse"),
    ('set "a" ["x"];', "string"),
    ('set :encodeurl "a" "x";', "needs require 'enotify'"),
    ('fileinto "${nothing.a}";', "no variables have the namespace 'nothing'"),
    ('fileinto "${global.a}";', "need require 'include'"),
    ('fileinto "${env.a.b}";', "need require 'vnd.dovecot.environment'"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


def test_limits() -> None:
    grown = 'set "a" "0123456789";' + 'set "a" "${a}${a}";' * 20 + 'set :length "b" "${a}"; fileinto "${b}";'
    (action,) = run_script(REQUIRE + grown).actions
    assert isinstance(action, FileInto)
    assert action.mailbox == str(Limits().max_variable_size)
    many = "".join(f'set "v{n}" "x";' for n in range(300))
    assert "more than 255 variables" in str(run_script(REQUIRE + many).error)
