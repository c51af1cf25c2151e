"""extlists: the match type ``:list``, ``valid_ext_list``, redirect to a list. [RFC6134]"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mas.sieve.definition import Asking, Extension, Kind, Parameter, Role, TagRule, test
from mas.sieve.program import Call
from mas.sieve.questions import ListKnown

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run


def run_valid_ext_list(run: Run, call: Call) -> Asking:
    """valid_ext_list [RFC6134 2.7]"""
    return bool((yield ListKnown(run.arguments(call, "names"))))


EXTLISTS = Extension(
    "extlists",
    definitions=(test("valid_ext_list", run_valid_ext_list, Parameter("names", Kind.STRINGS), needs="extlists"),),
    match_types=(TagRule("list", group="match-type", needs="extlists"),),
    tags={(Role.COMMAND, "redirect"): (TagRule("list", needs="extlists"),)},
)
