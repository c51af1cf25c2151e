"""Mail for the benchmark: the same for every run, made of words, with the shapes that mailboxes have."""

from __future__ import annotations

import base64
import random

_WORDS = [
    "meeting",
    "report",
    "budget",
    "invoice",
    "project",
    "update",
    "review",
    "draft",
    "schedule",
    "customer",
    "order",
    "delivery",
    "question",
    "answer",
    "thanks",
    "regards",
    "server",
    "backup",
    "release",
    "summer",
    "winter",
    "garden",
    "kitchen",
    "travel",
    "ticket",
    "contract",
    "offer",
    "market",
    "analysis",
    "result",
    "figure",
    "table",
]


def messages(count: int, seed: int = 1) -> list[bytes]:
    """``count`` messages with CRLF: two in three plain text, some with an HTML alternative, one in twenty with an attachment."""
    chance = random.Random(seed)
    return [_message(number, chance) for number in range(count)]


def _text(chance: random.Random, words: int) -> str:
    lines, line = [], []
    for _ in range(words):
        line.append(chance.choice(_WORDS))
        if len(line) == 11:
            lines.append(" ".join(line))
            line = []
    return "\r\n".join([*lines, " ".join(line)])


def _message(number: int, chance: random.Random) -> bytes:
    sender = f"{chance.choice(_WORDS)}.{chance.choice(_WORDS)}"
    day, hour, minute = 1 + number % 28, chance.randrange(24), chance.randrange(60)
    header = [
        f"Return-Path: <{sender}@example.org>",
        f"Received: from relay.example.org (relay.example.org [192.0.2.{number % 250}])",
        f"\tby mail.example.net (Postfix) with ESMTPS id {number:010X}",
        f"\tfor <user@example.net>; Tue, {day:02d} Sep 2026 {hour:02d}:{minute:02d}:00 +0200 (CEST)",
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=mail; h=from:to:subject:date;",
        f"\tbh={base64.b64encode(chance.randbytes(32)).decode()};",
        f"\tb={base64.b64encode(chance.randbytes(180)).decode()}",
        f"Message-ID: <{number}.{chance.randrange(10**9)}@example.org>",
        f"Date: Tue, {day:02d} Sep 2026 {hour:02d}:{minute:02d}:30 +0200",
        f"From: {sender.replace('.', ' ').title()} <{sender}@example.org>",
        "To: User Example <user@example.net>",
        f"Subject: {' '.join(chance.choice(_WORDS) for _ in range(chance.randrange(2, 8)))} {number}",
        "MIME-Version: 1.0",
    ]
    kind = number % 20
    text = _text(chance, chance.randrange(60, 600))
    if kind == 0:
        data = base64.encodebytes(chance.randbytes(chance.randrange(20_000, 80_000))).decode().replace("\n", "\r\n")
        header.append(f'Content-Type: multipart/mixed; boundary="b{number}"')
        body = (
            f'--b{number}\r\nContent-Type: text/plain; charset="utf-8"\r\n\r\n{text}\r\n--b{number}\r\n'
            f'Content-Type: application/pdf; name="report{number}.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="report{number}.pdf"\r\n\r\n{data}\r\n--b{number}--\r\n'
        )
    elif kind < 7:
        header.append(f'Content-Type: multipart/alternative; boundary="b{number}"')
        body = (
            f'--b{number}\r\nContent-Type: text/plain; charset="utf-8"\r\n\r\n{text}\r\n--b{number}\r\n'
            f'Content-Type: text/html; charset="utf-8"\r\n\r\n<html><body><p>{text}</p></body></html>\r\n--b{number}--\r\n'
        )
    else:
        header += ['Content-Type: text/plain; charset="utf-8"', "Content-Transfer-Encoding: 8bit"]
        body = text + "\r\n"
    return ("\r\n".join(header) + "\r\n\r\n" + body).encode()
