"""One HTTP request to one page.

Must not know: what the pages say, sockets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mas import logs
from mas.protocols.http.connection import BadRequest, Closed, Event, HttpConnection, Request, response
from mas.protocols.session import Channel, Peer, Woken

log = logs.get_logger("http")

TIMEOUT = 10.0
"""Seconds for a request to come."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered: a status of ``connection.REASONS`` and a text."""

    status: int
    text: str
    content_type: str = "text/plain; charset=utf-8"


Pages = Mapping[str, Callable[[bool], Awaitable[Page]]]
"""Path to a function that is told whether the server stops."""


def opener(pages: Pages) -> Callable[[Peer, bool], tuple[Any, Callable[[Channel[Any]], Awaitable[None]]]]:
    """What a listener needs."""

    def open_session(_: Peer, __: bool) -> tuple[Any, Callable[[Channel[Any]], Awaitable[None]]]:
        return HttpConnection(), lambda channel: run(channel, pages)

    return open_session


async def run(channel: Channel[Event], pages: Pages) -> None:
    """Answer one request."""
    event: Event | Woken = Woken.WOKEN
    while event is Woken.WOKEN:  # that the server stops is no reason not to answer
        event = await channel.next_event(TIMEOUT)
    match event:
        case Request(method, path):
            channel.write(await _answer(method, path, pages, channel.draining))
        case BadRequest(status):
            channel.write(response(status, "bad request\n"))
        case Closed():
            return
    await channel.drain()


async def _answer(method: str, path: str, pages: Pages, draining: bool) -> bytes:
    page = pages.get(path)
    if page is None:
        return response(404, f"there are {' and '.join(sorted(pages))}\n", head=method == "HEAD")
    if method not in ("GET", "HEAD"):
        return response(405, "only GET\n")
    try:
        found = await page(draining)
    except Exception:
        log.error("internal error", exc_info=True, path=path)
        found = Page(500, "internal error\n")
    return response(found.status, found.text, found.content_type, head=method == "HEAD")
