"""duplicate: which id is asked for and recorded, and for how long. [RFC7352]"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mas.sieve.limits import Limits
from mas.sieve.questions import SeenBefore
from tests.sieve.support import run_script
from tests.sieve.tables import check_mistakes, check_rows, no

REQUIRE = 'require ["duplicate", "fileinto", "variables"];\n'
ROWS = [
    no("duplicate"),
    no("duplicate", "nested"),
    no('duplicate :handle "a" :uniqueid "b" :seconds 60 :last'),
]
MISTAKES = [
    ('if duplicate :header "a" :uniqueid "b" {}', ":header or :uniqueid, not both"),
    ('if duplicate :seconds "1" {}', "number"),
    ('if duplicate "a" {}', "duplicate"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


def asked(script: str, known: bool) -> tuple[list[SeenBefore], Sequence[SeenBefore]]:
    """The questions, and what is recorded once the mail is delivered."""
    questions: list[SeenBefore] = []

    def answer(question: SeenBefore) -> bool:
        questions.append(question)
        return known

    result = run_script(REQUIRE + script, answers={SeenBefore: answer})
    assert result.error is None
    return questions, result.to_record


def test_what_is_asked_is_what_is_recorded() -> None:
    for script in (
        "if duplicate {}",
        'if duplicate :handle "h" {}',
        'if duplicate :header "subject" {}',
        'if duplicate :uniqueid "<1@example.org>" {}',
    ):
        questions, recorded = asked(script, known=False)
        assert list(recorded) == questions
        assert asked(script, known=True)[1] == []


def test_ids_of_different_kinds_are_different_ids() -> None:
    scripts = (
        "if duplicate {}",
        'if duplicate :handle "h" {}',
        'if duplicate :header "subject" {}',
        'if duplicate :uniqueid "other" {}',
    )
    keys = [asked(script, known=False)[0][0].key for script in scripts]
    assert len(set(keys)) == len(scripts)


def test_last_counts_the_time_from_the_last_one() -> None:
    questions, recorded = asked("if duplicate :last :seconds 60 {}", known=True)
    assert [question.seconds for question in questions] == [60]
    assert list(recorded) == questions


def test_time_is_limited_and_has_a_default() -> None:
    assert asked("if duplicate :seconds 9999999 {}", known=False)[0][0].seconds == Limits().duplicate_max_seconds
    assert asked("if duplicate {}", known=False)[0][0].seconds == Limits().duplicate_default_seconds


def test_nothing_is_recorded_for_a_script_that_fails() -> None:
    result = run_script(REQUIRE + 'if duplicate {} redirect "${x}";', answers={SeenBefore: lambda _: False})
    assert result.error is not None
    assert result.to_record == []
