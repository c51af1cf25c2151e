"""How a message leaves the host: SMTP to the submission server, or the sendmail program."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

from mas.outgoing.queue import Envelope, NotNow, Refused, Send, Unreachable

_TIMEOUT = 60.0
_TEMPORARY_EXIT_CODES = frozenset({71, 74, 75})
_DEFAULT_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


def smtp(url: str, hostname: str) -> Send:
    """A sender over SMTP; ``url`` is ``smtp://host:port``, ``smtp+starttls://`` or ``smtps://``, with ``user:password@`` if needed."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or _DEFAULT_PORTS[parts.scheme]

    async def send(envelope: Envelope, message: bytes) -> None:
        import aiosmtplib  # not above: most runs of mas deliver send nothing

        client = aiosmtplib.SMTP(
            hostname=host,
            port=port,
            local_hostname=hostname,
            timeout=_TIMEOUT,
            use_tls=parts.scheme == "smtps",
            start_tls=parts.scheme == "smtp+starttls",
        )
        try:
            async with client:
                if parts.username:
                    await client.login(parts.username, parts.password or "")
                utf8 = not all(address.isascii() for address in (envelope.sender, *envelope.recipients))
                options = ["SMTPUTF8"] if utf8 else []
                refused, _ = await client.sendmail(
                    envelope.sender, list(envelope.recipients), message, mail_options=options
                )
        except (
            aiosmtplib.SMTPConnectError,
            aiosmtplib.SMTPConnectTimeoutError,
            aiosmtplib.SMTPConnectResponseError,
            aiosmtplib.SMTPHeloError,
            aiosmtplib.SMTPAuthenticationError,
        ) as error:
            # Whatever the code: it is said to this host, not to the message.
            raise Unreachable(f"{host}:{port}: {error}") from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _by_code(f"{host}:{port}", error.recipients[0].code, error.recipients[0].message) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _by_code(f"{host}:{port}", error.code, error.message) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise NotNow(f"{host}:{port}: {error}") from error
        if refused:
            # Some took it: what is left is reported, not repeated, or the others would get it twice.
            raise Refused(f"{host}:{port} refused {', '.join(refused)}")

    return send


def _by_code(where: str, code: int, text: str) -> Refused | NotNow:
    kind = Refused if 500 <= code < 600 else NotNow
    return kind(f"{where}: {code} {' '.join(text.split())}")


def sendmail(program: str) -> Send:
    """A sender through a sendmail program."""

    async def send(envelope: Envelope, message: bytes) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                "-i",
                "-f",
                envelope.sender or "<>",
                "--",
                *envelope.recipients,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise NotNow(f"{program}: {error.strerror}") from error
        try:
            async with asyncio.timeout(_TIMEOUT):
                _, said = await process.communicate(message.replace(b"\r\n", b"\n"))
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise NotNow(f"{program}: no end after {_TIMEOUT:.0f} s") from None
        if process.returncode:
            text = f"{program}: exit {process.returncode}: {said[:200].decode('utf-8', 'replace').strip()}"
            raise NotNow(text) if process.returncode in _TEMPORARY_EXIT_CODES else Refused(text)

    return send
