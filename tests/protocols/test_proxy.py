"""PROXY headers: the table, every cut, every changed octet, and made-up ones; then a listener that takes them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.listener import Connections, Listener, Service
from mas.protocols.proxy import MAX_V1, SIGNATURE, Client, HeaderReader, ProxyError, Rules, crc32c
from tests.protocols.test_listener import Register, line, until
from tests.support.echo import opener

V4 = Client("192.0.2.7", 40000, "198.51.100.1", 993)
V6 = Client("2001:db8::7", 40000, "2001:db8::1", 993)


def v2(client: Client, tlvs: bytes = b"", *, command: int = 0x21, family: int = 0) -> bytes:
    source, destination = ipaddress.ip_address(client.address), ipaddress.ip_address(client.local_address)
    ports = client.port.to_bytes(2, "big") + client.local_port.to_bytes(2, "big")
    body = source.packed + destination.packed + ports + tlvs
    kind = family or (0x11 if source.version == 4 else 0x21)
    return SIGNATURE + bytes([command, kind]) + len(body).to_bytes(2, "big") + body


def checked(client: Client) -> bytes:
    blank = v2(client, b"\x03\0\x04" + bytes(4))
    return blank[:-4] + crc32c(blank).to_bytes(4, "big")


def header(kind: int, body: bytes, command: int = 0x21) -> bytes:
    return SIGNATURE + bytes([command, kind]) + len(body).to_bytes(2, "big") + body


GOOD: list[tuple[bytes, Client | None]] = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 993\r\n", V4),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 993\r\n", V6),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 40000 993\r\n", V4),
    (b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", Client("0.0.0.0", 0, "255.255.255.255", 65535)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", None),
    (v2(V4), V4),
    (v2(V6), V6),
    (v2(V4, b"\x01\0\x02h2\x04\0\0"), V4),
    (checked(V4), V4),
    (checked(V6), V6),
    (header(0x00, b""), None),
    (header(0x00, b"whatever"), None),
    (header(0x31, bytes(216)), None),
    (header(0x00, b"", 0x20), None),
    (header(0x11, b"cut", 0x20), None),
    (v2(V4, b"\xe0" + (60000).to_bytes(2, "big") + bytes(60000)), V4),
]  # fmt: skip
BAD = [
    b"PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 65536\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 040 993\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 993\n",
    b"PROXY TCP4 192.0.2.007 198.51.100.1 40000 993\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.1 40000 993\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 40000 993\r\n",
    b"PROXY TCP6 192.0.2.7 198.51.100.1 40000 993\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 40000 993\r\n",
    b"PROXY TCP4  192.0.2.7 198.51.100.1 40000 993\r\n",
    b"PROXY TCP5 192.0.2.7 198.51.100.1 40000 993\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"proxy TCP4 192.0.2.7 198.51.100.1 40000 993\r\n",
    b"PROXY UNKNOWN " + b"x" * MAX_V1,
    b"a1 LOGIN kim secret\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03xxxx",
    SIGNATURE + b"\x11\x11\0\x0c" + bytes(12),
    SIGNATURE + b"\x22\x11\0\x0c" + bytes(12),
    header(0x12, bytes(12)),
    header(0x21, bytes(35)),
    header(0x11, bytes(11)),
    header(0x31, bytes(215)),
    header(0x41, bytes(300)),
    v2(V4, b"\x01"),
    v2(V4, b"\x01\0\x03h2"),
    v2(V4, b"\x03\0\x04" + bytes(4)),
    v2(V4, b"\x03\0\0"),
]


def read(octets: bytes, piece: int = 1 << 20) -> tuple[HeaderReader, bytes]:
    """As a socket would give them; the reader, and what is left for the client's own protocol."""
    reader = HeaderReader()
    while reader.wants and octets:
        size = min(reader.wants, piece)
        reader.feed(octets[:size])
        octets = octets[size:]
    return reader, octets


@pytest.mark.parametrize(("octets", "client"), GOOD, ids=[repr(octets[:40]) for octets, _ in GOOD])
@pytest.mark.parametrize("piece", [1, 5, 1 << 20])
def test_good(octets: bytes, client: Client | None, piece: int) -> None:
    reader, rest = read(octets + b"* the client's own", piece)
    assert (reader.wants, reader.client, rest) == (0, client, b"* the client's own")


@pytest.mark.parametrize("octets", BAD, ids=[repr(octets[:50]) for octets in BAD])
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_bad(octets: bytes, piece: int) -> None:
    with pytest.raises(ProxyError):
        read(octets, piece)


@pytest.mark.parametrize("octets", [octets for octets, _ in GOOD if len(octets) < 300])
def test_every_cut_waits_for_more(octets: bytes) -> None:
    for end in range(len(octets)):
        reader, _ = read(octets[:end])
        assert reader.wants
        assert reader.wants <= len(octets) - end, "it would take octets of the client"


def test_every_changed_octet_of_a_checked_header_is_noticed() -> None:
    octets = checked(V4)
    for place in range(len(octets)):
        changed = octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]
        try:
            reader, _ = read(changed)
        except ProxyError:
            continue
        # It became LOCAL, asks for more, or has a TLV of another type in the checksum's place: nobody is believed to be somebody else.
        assert reader.client in (None, V4)


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 1", SIGNATURE, SIGNATURE + b"\x21\x11\0"])
)
def test_anything_is_a_client_nobody_or_an_error(octets: bytes, beginning: bytes) -> None:
    try:
        reader, _ = read(beginning + octets)
    except ProxyError:
        return
    if reader.client is not None:
        ipaddress.ip_address(reader.client.address)
        assert 0 <= reader.client.port <= 65535


addresses = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)), st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6))
)
ports = st.integers(0, 65535)


@given(addresses, ports, ports)
def test_both_versions_say_the_same(
    pair: tuple[ipaddress.IPv4Address, ipaddress.IPv4Address], one: int, two: int
) -> None:
    source, destination = pair
    if getattr(source, "scope_id", None) or getattr(destination, "scope_id", None):
        return
    text = f"PROXY TCP{source.version} {source} {destination} {one} {two}\r\n".encode()
    by_text, _ = read(text)
    by_octets, _ = read(v2(Client(str(source), one, str(destination), two)))
    assert by_text.client == by_octets.client
    assert by_text.client is not None
    assert by_text.client.port == one


@pytest.mark.parametrize(
    ("networks", "address", "trusted"),
    [
        (["192.0.2.0/24"], "192.0.2.9", True),
        (["192.0.2.0/24"], "192.0.3.9", False),
        (["2001:db8::/64"], "2001:db8::1", True),
        (["::/0"], "192.0.2.9", False),
        (["0.0.0.0/0"], "", False),
        ([], "127.0.0.1", False),
    ],
)
def test_who_is_trusted(networks: list[str], address: str, trusted: bool) -> None:
    assert Rules([ipaddress.ip_network(network) for network in networks], 5).trusts(address) is trusted


class Proxied:
    """A listener that wants headers."""

    def __init__(self, trusted: str = "127.0.0.0/8", timeout: float = 5.0, limit: int = 0) -> None:
        self.register = Register()
        self.connections = Connections()
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.listener = Listener(
            self.sock,
            Service("echo", opener(self.register), max_login_connections=limit),
            self.connections,
            self.register,
            proxied=Rules([ipaddress.ip_network(trusted)], timeout),
        )
        self.listener.start()

    async def connect(self, octets: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self.sock.getsockname())
        writer.write(octets)
        return reader, writer

    async def close(self) -> None:
        self.listener.stop()
        self.sock.close()
        await self.connections.cancel()


@pytest.fixture
async def proxied() -> AsyncIterator[Proxied]:
    made = Proxied()
    yield made
    await made.close()


@pytest.mark.parametrize("octets", [GOOD[0][0], v2(V4)])
async def test_the_session_is_the_clients(proxied: Proxied, octets: bytes) -> None:
    reader, writer = await proxied.connect(octets + b"quit\n")
    assert await line(reader) == b"* hello plain"
    assert await line(reader) == b"* bye"
    writer.close()


async def test_who_is_counted(proxied: Proxied) -> None:
    reader, writer = await proxied.connect(v2(V6)[:20])
    await until(lambda: len(proxied.connections) == 1)
    assert not proxied.register.present, "nobody is known yet"
    writer.write(v2(V6)[20:])
    assert await line(reader) == b"* hello plain"
    (peer,) = proxied.register.present.values()
    assert (peer.address, peer.port, peer.local_address, peer.local_port) == ("2001:db8::7", 40000, "2001:db8::1", 993)
    writer.close()
    await until(lambda: not proxied.register.present)
    assert not proxied.connections


async def test_a_health_check_of_the_proxy_is_itself(proxied: Proxied) -> None:
    reader, writer = await proxied.connect(header(0, b"", 0x20))
    assert await line(reader) == b"* hello plain"
    (peer,) = proxied.register.present.values()
    assert peer.address == "127.0.0.1"
    writer.close()


@pytest.mark.parametrize("octets", [b"a1 LOGIN kim secret\r\n", b"PROXY TCP4 192.0.2.7\r\n"])
async def test_no_header_no_session(proxied: Proxied, octets: bytes) -> None:
    reader, _ = await proxied.connect(octets)
    with contextlib.suppress(ConnectionError):  # octets that nobody read
        assert await asyncio.wait_for(reader.read(), 10) == b""
    assert not proxied.register.present


async def test_a_header_that_does_not_come_is_not_waited_for() -> None:
    host = Proxied(timeout=0.05)
    reader, _ = await host.connect(b"PROXY TC")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    await host.close()


async def test_from_elsewhere_nothing_is_taken() -> None:
    host = Proxied(trusted="192.0.2.0/24")
    reader, writer = await host.connect(b"")
    writer.write(v2(V4))
    with contextlib.suppress(ConnectionError):  # it may have been closed before it was read
        assert await asyncio.wait_for(reader.read(), 10) == b""
    assert not host.connections
    await host.close()


async def test_headers_that_are_waited_for_have_a_limit() -> None:
    host = Proxied(limit=2)
    first, second = await host.connect(b"PROXY "), await host.connect(b"PROXY ")
    await until(lambda: len(host.connections) == 2)
    third, _ = await host.connect(b"")
    assert await asyncio.wait_for(third.read(), 10) == b""
    first[1].write(GOOD[0][0][6:])
    assert await line(first[0]) == b"* hello plain"
    fourth, _ = await host.connect(GOOD[1][0])
    assert await line(fourth) == b"* hello plain"
    second[1].close()
    await until(lambda: len(host.connections) == 2)
    await host.close()


async def test_over_the_limit_of_the_client(proxied: Proxied) -> None:
    proxied.register.limit = 0
    reader, _ = await proxied.connect(v2(V4))
    assert await asyncio.wait_for(reader.read(), 10) == b""
    await until(lambda: not proxied.connections)
