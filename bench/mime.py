"""What the MIME scan costs a delivery, a message at a time: `PYTHONPATH=. python bench/mime.py`.

Prints the best of several rounds in microseconds of CPU, and beside it what the standard library's parser takes to read the same octets
(it makes none of the answers): on a busy machine look at the ratio.
"""

from __future__ import annotations

import base64
import email
import mmap
import random
import tempfile
import time
from collections.abc import Callable

from mas.storage.mime.header import header_fields, kept_header, served
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.parse import parse
from mas.storage.mime.section import Section, SectionText, section_octets
from mas.storage.mime.text import search_texts

LIMITS = MimeLimits()
WORDS = """lorem ipsum dolor sit amet consetetur sadipscing elitr sed diam nonumy eirmod tempor invidunt ut labore""".split()  # noqa: SIM905
ROUNDS = 15


def header(rnd: random.Random, content: str) -> str:
    """About 1.4 KB, half of it trace fields, as mail has it today."""
    key = base64.b64encode(rnd.randbytes(190)).decode()
    lines = [
        "Received: from mx.example.org (mx.example.org [192.0.2.7])\r\n\tby mail.example.net (Postfix) with ESMTPS id 4D2A7\r\n"
        "\tfor <b@example.net>; Mon, 2 Nov 2026 10:11:13 +0100 (CET)",
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s1;"
        f"\r\n\th=from:to:subject;\r\n\tb={key[:70]}\r\n\t {key[70:]}",
        "Authentication-Results: mail.example.net; dkim=pass header.d=example.org;\r\n\tspf=pass smtp.mailfrom=a@example.org",
        f"From: Anna {rnd.choice(WORDS).title()} <anna{rnd.randrange(99)}@example.org>",
        f"To: =?utf-8?Q?J=C3=BCrgen_{rnd.choice(WORDS)}?= <b@example.net>, C <c@example.com>",
        f"Subject: Re: {' '.join(rnd.choices(WORDS, k=6))}",
        "Date: Mon, 2 Nov 2026 10:11:12 +0100",
        f"Message-ID: <{rnd.getrandbits(64):x}@example.org>",
        f"In-Reply-To: <{rnd.getrandbits(64):x}@example.net>",
        f"References: <{rnd.getrandbits(64):x}@example.net>\r\n <{rnd.getrandbits(64):x}@example.net>",
        "MIME-Version: 1.0",
        f"Content-Type: {content}",
        "X-Mailer: Example 1.0",
        "List-Id: <list.example.org>",
    ]
    return "\r\n".join(lines) + "\r\n\r\n"


def text(rnd: random.Random, size: int) -> str:
    lines: list[str] = []
    while size > 0:
        lines.append(" ".join(rnd.choices(WORDS, k=10)))
        size -= len(lines[-1]) + 2
    return "\r\n".join(lines) + "\r\n"


def plain(rnd: random.Random, size: int) -> bytes:
    return (header(rnd, "text/plain; charset=utf-8") + text(rnd, size - 1500)).encode()


def multipart(rnd: random.Random, size: int, attachment: int) -> bytes:
    outer, inner = f"=_{rnd.getrandbits(96):x}", f"=_{rnd.getrandbits(96):x}"
    blob = base64.encodebytes(rnd.randbytes(attachment * 3 // 4)).decode().replace("\n", "\r\n")
    return (
        header(rnd, f'multipart/mixed; boundary="{outer}"')
        + f'--{outer}\r\nContent-Type: multipart/alternative;\r\n boundary="{inner}"\r\n\r\n'
        + f"--{inner}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text(rnd, size // 3)}\r\n"
        + f"--{inner}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text(rnd, size // 3)}\r\n"
        + f'--{inner}--\r\n\r\n--{outer}\r\nContent-Type: application/pdf; name="file {rnd.randrange(99)}.pdf"\r\n'
        + f'Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="file.pdf"\r\n\r\n{blob}\r\n--{outer}--\r\n'
    ).encode()


def best(work: Callable[[bytes], object], messages: list[bytes]) -> float:
    """Microseconds a message, of the best round."""
    fastest = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for message in messages:
            work(message)
        fastest = min(fastest, time.process_time() - start)
    return fastest / len(messages) * 1e6


def main() -> None:
    rnd = random.Random(7)
    corpora = {
        "3 KB plain": [plain(rnd, 3000) for _ in range(200)],
        "10 KB multipart": [multipart(rnd, 5000, 3500) for _ in range(200)],
        "200 KB multipart": [multipart(rnd, 5000, 190_000) for _ in range(20)],
        "5 MB multipart": [multipart(rnd, 5000, 5_000_000) for _ in range(2)],
    }
    print(f"{'':22}{'octets':>10}{'parse µs':>12}{'email µs':>12}{'ratio':>8}")
    for name, messages in corpora.items():
        mine = best(lambda data: parse(data, LIMITS), messages)
        other = best(email.message_from_bytes, messages)
        size = sum(map(len, messages)) // len(messages)
        print(f"{name:22}{size:>10}{mine:>12.0f}{other:>12.0f}{mine / other:>8.2f}")
    ten = corpora["10 KB multipart"]
    parsed = {data: parse(data, LIMITS) for data in ten}
    block = served(ten[0][: parsed[ten[0]].header_size])
    kept = kept_header(block)
    names = tuple(
        b"from to cc bcc subject date message-id priority x-priority references newsgroups in-reply-to content-type reply-to".split()
    )
    print(f"header {len(block)} octets, kept {len(kept)}")
    print(f"HEADER.FIELDS (14)     {best(lambda _: header_fields(kept, names, False), ten):>10.1f} µs")
    print(f"HEADER.FIELDS.NOT (14) {best(lambda _: header_fields(kept, names, True), ten):>10.1f} µs")
    part = Section((1, 2), SectionText.WHOLE)
    print(f"BODY[1.2]              {best(lambda data: section_octets(data, parsed[data].parts, part), ten):>10.1f} µs")
    texts = best(lambda data: list(search_texts(data, parsed[data].parts, LIMITS, headers=True, limit=1_000_000)), ten)
    print(f"text for SEARCH TEXT   {texts:>10.1f} µs")
    with tempfile.TemporaryFile() as file:
        file.write(corpora["5 MB multipart"][0])
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            start = time.process_time()
            parse(mapped, LIMITS)
            print(f"5 MB memory map        {(time.process_time() - start) * 1e6:>10.0f} µs")


if __name__ == "__main__":
    main()
