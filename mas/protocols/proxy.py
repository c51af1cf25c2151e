"""The PROXY protocol, versions 1 and 2: what a proxy says of its client, before the first octet of the client.

    v1      = "PROXY" SP (("TCP4" / "TCP6") SP source SP destination SP port SP port / "UNKNOWN" *OCTET) CRLF    ; 107 octets at most
    v2      = signature version-command family length [addresses *tlv]
    tlv     = type length *OCTET                                                  ; one octet, two octets

Section numbers are those of HAProxy's proxy-protocol.txt. A v2 header says how long it is, a v1 header ends in CRLF and is read octet by
octet behind its first MIN: so nothing of the client's own octets is ever taken, and a TLS handshake begins where the header ends.
What is not exactly a header is an error, never a guess [2].

Pure: HeaderReader says how many octets it wants. ``mas.protocols.listener`` reads them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MIN = 12
"""Octets that every header has: v2's signature; the shortest v1 line is longer."""
MAX_V1 = 107
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PREFIX = 16
_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP4|TCP6) ([0-9A-Fa-f.:]{2,39}) ([0-9A-Fa-f.:]{2,39})"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n"
)
_ADDRESSES = {0x11: 4, 0x21: 16}
"""Family and transport (TCP over IPv4, over IPv6) to octets of an address [2.2]."""
_WITHOUT = (0x00, 0x31)
"""Unspecified, and a UNIX socket: nothing is known of the client that we could use."""
_UNIX_OCTETS = 216
_CRC32C = 0x03


class ProxyError(Exception):
    """Not a header; the text is for the log and holds nothing of the peer's octets."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who is behind the proxy, and what address that one connected to."""

    address: str
    port: int
    local_address: str
    local_port: int


@dataclass(frozen=True, slots=True)
class Rules:
    """From whom a header is taken, and in what time (seconds)."""

    trusted: Sequence[Network]
    timeout: float

    def trusts(self, address: str) -> bool:
        """Whether a peer with this address may say who its client is."""
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(peer.version == network.version and peer in network for network in self.trusted)


class HeaderReader:
    """Feed it as many octets as it ``wants`` (or fewer), until that is 0; then ``client`` is who it is, None when the proxy speaks for
    itself (its health check) or does not know."""

    def __init__(self) -> None:
        self.wants = MIN
        self.client: Client | None = None
        self._octets = b""

    def feed(self, octets: bytes) -> None:
        """Raises ProxyError."""
        assert len(octets) <= self.wants
        self._octets += octets
        self.wants -= len(octets)
        if self.wants:
            return
        have = self._octets
        if have.startswith(SIGNATURE):
            if len(have) == MIN:
                self.wants = _PREFIX - MIN
            elif len(have) == _PREFIX:
                if have[12] >> 4 != 2 or have[12] & 15 > 1:
                    raise ProxyError("unknown version or command")
                self.wants = int.from_bytes(have[14:16], "big")
            if not self.wants:
                self.client = _version_2(have)
        elif not have.startswith(b"PROXY "):
            raise ProxyError("no PROXY header")
        elif have.endswith(b"\n"):
            self.client = _version_1(have)
        elif len(have) >= MAX_V1:
            raise ProxyError(f"the header is longer than {MAX_V1} octets")
        else:
            self.wants = 1


def _version_1(line: bytes) -> Client | None:
    """[2.1]"""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ProxyError("malformed header")
    if match[1] is None:
        return None
    try:
        kind = ipaddress.IPv4Address if match[1] == b"TCP4" else ipaddress.IPv6Address
        source, destination = (kind(match[n].decode("ascii")) for n in (2, 3))
    except ValueError:
        raise ProxyError("malformed address") from None
    ports = int(match[4]), int(match[5])
    if max(ports) > 65535:
        raise ProxyError("malformed port")
    return Client(_text(source), ports[0], _text(destination), ports[1])


def _version_2(header: bytes) -> Client | None:
    """[2.2]"""
    if header[12] & 15 == 0:
        return None  # LOCAL: whatever follows means nothing
    family, body = header[13], header[_PREFIX:]
    if family in _WITHOUT:
        if family and len(body) < _UNIX_OCTETS:
            raise ProxyError("addresses are cut off")
        return None
    width = _ADDRESSES.get(family)
    if width is None:
        raise ProxyError("unknown family or transport")
    size = 2 * width + 4
    if len(body) < size:
        raise ProxyError("addresses are cut off")
    _check_tlvs(header, _PREFIX + size)
    source, destination = (ipaddress.ip_address(body[at : at + width]) for at in (0, width))
    ports = [int.from_bytes(body[at : at + 2], "big") for at in (size - 4, size - 2)]
    return Client(_text(source), ports[0], _text(destination), ports[1])


def _check_tlvs(header: bytes, place: int) -> None:
    """Whole, and with the right checksum if there is one [2.2.3]."""
    while place < len(header):
        size = int.from_bytes(header[place + 1 : place + 3], "big")
        end = place + 3 + size
        if place + 3 > len(header) or end > len(header):
            raise ProxyError("a TLV is cut off")
        if header[place] == _CRC32C:
            blanked = header[: place + 3] + bytes(size) + header[end:]
            if size != 4 or crc32c(blanked) != int.from_bytes(header[place + 3 : end], "big"):
                raise ProxyError("wrong checksum")
        place = end


def _text(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An IPv4 address in IPv6 clothes is written as what it is: limits and penalties count addresses by their text."""
    return str(getattr(address, "ipv4_mapped", None) or address)


def crc32c(octets: bytes) -> int:
    """The checksum with Castagnoli's polynomial  [RFC9260 A]."""
    crc = 0xFFFFFFFF
    for octet in octets:
        crc = _TABLE[(crc ^ octet) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _crc_entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ 0x82F63B78 if value & 1 else value >> 1
    return value


_TABLE = tuple(map(_crc_entry, range(256)))
