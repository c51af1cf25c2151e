"""What the scripts decided, in a few words for the log: what goes where, and none of the texts that users wrote."""

from __future__ import annotations

from mas.sieve.actions import FileInto, Keep, Notify, Pipe, Redirect, Reject, Vacation
from mas.sieve.interpreter import Result


def in_words(result: Result) -> str:
    """``fileinto Lists; redirect robin@example.org; keep``; ``discard`` when nothing keeps the message or sends it on."""
    said = [_word(action) for action in result.actions if not isinstance(action, Keep)]
    if result.keep:
        said.append("keep")
    return "; ".join(said) or "discard"


def _word(action: object) -> str:
    match action:
        case FileInto(mailbox=mailbox, special_use=use):
            return f"fileinto {mailbox or use}"
        case Redirect(address=address):
            return f"redirect {address}"
        case Reject(in_session=in_session):
            return "ereject" if in_session else "reject"
        case Notify(method=method):
            return f"notify {method.partition(':')[0]}"
        case Pipe(program=program):
            return f"pipe {program}"
        case Vacation():
            return "vacation"
        case _:
            return type(action).__name__.lower()
