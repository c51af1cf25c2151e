"""LOGIN, which no RFC describes: two prompts and two answers."""

from __future__ import annotations

from mas.auth.sasl.steps import Context, Steps, password_claim


def login(context: Context) -> Steps:
    """Clients do not read the prompts, but Outlook wants exactly these words. Some send the name as an initial response."""
    authcid = yield b"Username:"
    password = yield b"Password:"
    return password_claim(authcid, password)
