"""Base subject and the ids of a thread.  [RFC5256 2.1] [RFC5256 3 REFERENCES]

subject         = *subj-leader [subj-middle] *subj-trailer
subj-refwd      = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
subj-blob       = "[" *BLOBCHAR "]" *WSP
subj-fwd        = subj-fwd-hdr subject subj-fwd-trl          ; "[fwd:" … "]"
subj-leader     = (*subj-blob subj-refwd) / WSP
subj-trailer    = "(fwd)" / WSP
"""

from __future__ import annotations

import re

# Possessive throughout: one pass, whatever the subject holds.
_LEADER = re.compile(r"(?:\[[^\[\]]*+\]\s*+)*+(?:RE|FWD?)\s*+(?:\[[^\[\]]*+\]\s*+)?+:\s*+")
_BLOBS = re.compile(r"(?:\[[^\[\]]*+\]\s*+)++")
_TRAILER = "(FWD)"


def base_subject(subject: str) -> tuple[str, bool]:
    """``(base subject, whether it is a reply or a forward)`` of a decoded subject in casemap form."""
    text = " ".join(subject.split())
    is_reply = False
    start, end = 0, len(text)
    while True:
        while end - start >= 5 and text.endswith(_TRAILER, start, end):
            is_reply = True
            end -= 5
            while end > start and text[end - 1] == " ":
                end -= 1
        while True:
            leader = _LEADER.match(text, start, end)
            if leader is not None:
                start = leader.end()
                is_reply = True
                continue
            blobs = _BLOBS.match(text, start, end)
            if blobs is not None:
                # All at once: where no leader follows the last one, none follows the others. Something must be left behind a blob.
                start = blobs.end() if blobs.end() < end else text.rfind("[", start, end)
            break
        if text.startswith("[FWD:", start, end) and text.endswith("]", start, end):
            start += 5
            end -= 1
            while start < end and text[start] == " ":
                start += 1
            while end > start and text[end - 1] == " ":
                end -= 1
            is_reply = True
            continue
        return text[start:end], is_reply


# msg-id = "<" local-part "@" domain ">", as the ids in the field are written: white space inside is dropped, quotes too.
_ID = re.compile(rb"<([^<>]*+)>")
MAX_REFERENCES = 1000
"""Ids of one References field that are kept, the newest ones."""


def message_ids(value: bytes) -> list[str]:
    """The valid ids of an unfolded value, normalised: ``<"a b"@c>`` and ``<a b@c>`` are one."""
    return [
        _normalised(found) if _ODD.search(found) else found.decode("utf-8", "replace")
        for found in _ID.findall(value)
        if b"@" in found
    ]


_ODD = re.compile(rb'[\s"\\]')
_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def _normalised(value: bytes) -> str:
    return _PAIR.sub(rb"\1", value.replace(b'"', b"")).translate(None, b" \t\r\n").decode("utf-8", "replace")


def thread_links(message_id: bytes, references: bytes, in_reply_to: bytes) -> tuple[str, tuple[str, ...]]:
    """``(message id, references)`` of the unfolded fields: the ids of References, or else the first of In-Reply-To."""
    own = message_ids(message_id)
    ancestors = message_ids(references) or message_ids(in_reply_to)[:1]
    return (own[0] if own else ""), tuple(ancestors[-MAX_REFERENCES:])
