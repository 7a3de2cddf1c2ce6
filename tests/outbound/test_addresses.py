"""Which addresses may be called: the list of what was ever tried, and what is left."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esocs.outbound import AddressRefusedError, OutboundFailedError, read_target
from esocs.outbound.addresses import is_public, resolve

HOSTILE = [
    "http://example.org/x",
    "ftp://example.org/",
    "file:///etc/passwd",
    "gopher://example.org:443/_x",
    "javascript:alert(1)",
    "//example.org/",
    "https://",
    "https:///etc/passwd",
    "https:example.org",
    "example.org",
    "",
    None,
    3,
    ["https://example.org"],
    "https://example.org:22/",
    "https://example.org:80/",
    "https://example.org:0/",
    "https://example.org:99999/",
    "https://example.org:-1/",
    "https://example.org:x/",
    "https://user:secret@example.org/",
    "https://example.org@127.0.0.1/",
    "https://127.0.0.1/",
    "https://127.0.0.1:8443/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/",
    "https://198.18.0.1/",
    "https://192.0.2.1/",
    "https://224.0.0.1/",
    "https://239.255.255.250/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[::ffff:8.8.8.8%251]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::10.0.0.1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[2001:0:53aa:64c::f5ff:fffe]/",
    "https://[::1/",
    "https://exa mple.org/",
    "https://example.org/\r\nX-Evil: 1",
    "https://example.org\\@127.0.0.1/",
    "https://exämple.org/",
    "https://example.org/" + "a" * 2_000,
]


@pytest.mark.parametrize("url", HOSTILE)
def test_what_may_not_be_called_is_refused_before_anything_is_sent(url: object) -> None:
    with pytest.raises(AddressRefusedError):
        read_target(url)


def answers(*addresses: str) -> Any:
    """A resolver that knows one host."""

    def resolver(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return resolver


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("169.254.169.254",),
        ("93.184.216.34", "10.0.0.1"),
        ("::ffff:10.0.0.1",),
        ("fd00::1", "2606:4700::1111"),
    ],
)
def test_a_name_that_stands_for_a_private_address_is_refused(addresses: tuple[str, ...]) -> None:
    with pytest.raises(AddressRefusedError, match="no public address"):
        resolve(read_target("https://innocent.example.org/"), resolver=answers(*addresses))


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "ip6-localhost"])
def test_other_ways_to_write_this_machine_are_refused_when_they_are_looked_up(host: str) -> None:
    with pytest.raises((AddressRefusedError, OutboundFailedError)):
        resolve(read_target(f"https://{host}/"))


def test_a_public_name_is_looked_up_once_and_keeps_its_addresses() -> None:
    target = read_target("https://Example.ORG./a?b=c#d")
    assert (str(target.origin), target.path) == ("https://example.org:443", "/a?b=c")
    found = resolve(target, resolver=answers("93.184.216.34", "93.184.216.34", "2606:4700::1111"))
    assert found == ["93.184.216.34", "2606:4700::1111"]


def test_an_origin_that_the_operator_named_may_be_private_and_only_that_one() -> None:
    allowed = ["http://127.0.0.1:9000", "https://aggregation.internal"]
    assert resolve(read_target("http://127.0.0.1:9000/x", allowed=allowed)) == ["127.0.0.1"]
    inside = read_target("https://aggregation.internal/", allowed=allowed)
    assert resolve(inside, resolver=answers("10.1.2.3")) == ["10.1.2.3"]
    for other in ("http://127.0.0.1:9001/", "https://127.0.0.1:9000/", "http://aggregation.internal/"):
        with pytest.raises(AddressRefusedError):
            read_target(other, allowed=allowed)


@given(st.ip_addresses(v=4))
def test_an_ipv6_address_that_carries_an_ipv4_one_is_as_public_as_that(inside: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(f"::ffff:{inside}")
    translated = ipaddress.IPv6Address(f"64:ff9b::{inside}")
    six_to_four = ipaddress.IPv6Address((0x2002 << 112) | (int(inside) << 80) | 1)
    assert is_public(mapped) == is_public(translated) == is_public(six_to_four) == is_public(inside)


@given(st.text(max_size=80) | st.from_regex(r"https?://[a-z0-9.\[\]:@%]{0,20}(:[0-9]{0,6})?/?", fullmatch=True))
def test_any_text_is_an_address_to_call_or_is_refused(text: str) -> None:
    try:
        target = read_target(text)
    except AddressRefusedError:
        return
    assert target.origin.scheme == "https"
    assert target.origin.port in {443, 8443}
    assert target.path.startswith("/")
