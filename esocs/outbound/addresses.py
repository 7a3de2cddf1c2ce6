"""Which addresses may be called. Pure, but for asking the resolver.

An address that a person typed can name the machine itself, its neighbours or a cloud's metadata service (server-side
request forgery, CWE-918). So a name is resolved once, every address that it has must be a public one, and the
connection goes to the address that was checked: a name that changes its mind in between changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from esocs.outbound.errors import AddressRefusedError, OutboundFailedError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver: TypeAlias = Callable[..., list[tuple[Any, ...]]]

LONGEST_URL = 2_000
PORTS = frozenset({443, 8443})
DEFAULT_PORTS = {"https": 443, "http": 80}
GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
"""IANA has given out no other IPv6 addresses to single hosts."""

# Public by their prefix, and somebody else's by what they carry (RFC 3056, RFC 6052, RFC 4380).
SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
TEREDO = ipaddress.IPv6Network("2001::/32")
# The relay of 6to4 (RFC 7526), and addresses that clouds keep for themselves in public ranges.
RESERVED = tuple(ipaddress.ip_network(network) for network in ("192.88.99.0/24", "168.63.129.16/32"))


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port of a server."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True)
class Target:
    """What is to be called.

    Attributes:
        origin: whose server.
        path: with its query, as it goes into the request.
        allowed: whether the operator has named the origin, which then need be neither public nor https.
    """

    origin: Origin
    path: str
    allowed: bool


def read_target(url: object, *, allowed: Collection[str] = ()) -> Target:
    """What a typed address asks for. The name is not looked up yet.

    Args:
        url: `https://host[:443|8443]/path?query`.
        allowed: origins, as in `http://127.0.0.1:9000`, that may be called though they are not public or not https.

    Raises:
        AddressRefusedError: no such address, or none that may be called.
    """
    if not isinstance(url, str) or not url or len(url) > LONGEST_URL:
        raise AddressRefusedError(f"An address is a text of at most {LONGEST_URL} characters.")
    if not url.isascii() or any(ord(character) <= 32 or character in '\\"<>^`{|}\x7f' for character in url):
        raise AddressRefusedError("The address holds characters that no address has.", hint="Write it percent-encoded.")
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
        port = parts.port if parts.port is not None else DEFAULT_PORTS.get(scheme, 0)
    except ValueError as error:
        raise AddressRefusedError(f"The address cannot be read: {error}.") from None
    if parts.username is not None or parts.password is not None:
        raise AddressRefusedError("The address holds a name and a password.", hint="Use external_with_basic_auth.")
    if not host or "%" in host or scheme not in DEFAULT_PORTS:
        raise AddressRefusedError("The address is not of the form https://host/path.")
    origin = Origin(scheme, host, port)
    named = origin in {_origin(each) for each in allowed}
    if not named:
        _require_public_form(origin)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(origin, path, named)


def _origin(text: str) -> Origin:
    parts = urlsplit(text)
    scheme = parts.scheme.lower()
    return Origin(scheme, parts.hostname or "", parts.port or DEFAULT_PORTS.get(scheme, 0))


def _require_public_form(origin: Origin) -> None:
    if origin.scheme != "https":
        raise AddressRefusedError("Only https:// addresses are called.")
    if origin.port not in PORTS:
        raise AddressRefusedError(f"Port {origin.port} is not called.", hint="Servers answer at 443 or 8443.")
    try:
        address = ipaddress.ip_address(origin.host)
    except ValueError:
        return  # a name: what it stands for is seen when it is looked up
    if not is_public(address):
        raise AddressRefusedError(f"{address} is no public address.")


def resolve(target: Target, *, resolver: Resolver = socket.getaddrinfo) -> list[str]:
    """The addresses to connect to, one after the other until one answers; looked up once.

    Raises:
        AddressRefusedError: one of them is not public, and the operator has not named the origin.
        OutboundFailedError: there is no such host.
    """
    try:
        found = resolver(target.origin.host, target.origin.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise OutboundFailedError(f"There is no host {target.origin.host}: {error}.") from None
    texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not texts:
        raise OutboundFailedError(f"There is no host {target.origin.host}.")
    if not target.allowed:
        for text in texts:
            if not is_public(ipaddress.ip_address(text)):
                raise AddressRefusedError(f"{target.origin.host} is {text}, which is no public address.")
    return texts


def is_public(address: Address) -> bool:
    """Whether an address belongs to one host of the public Internet.

    Private, loopback, link-local (clouds' metadata among them), shared, multicast, reserved and documentation
    addresses do not (IANA's special-purpose registries); nor does an IPv6 address that stands for such an IPv4 one.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        inner = _carried(address)
        if inner is not None:
            return all(is_public(each) for each in inner)
        if address not in GLOBAL_V6:
            return False
    elif any(address in network for network in RESERVED):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _carried(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...] | None:
    """The IPv4 addresses inside an IPv6 one, None where there are none."""
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in SIX_TO_FOUR and address.sixtofour is not None:
        return (address.sixtofour,)
    if address in TEREDO and address.teredo is not None:
        return address.teredo
    if address in TRANSLATED:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    return None
