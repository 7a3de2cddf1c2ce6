"""One call to another server: to the address that was checked, no further, within a time and a size.

It follows no redirect, uses no proxy, keeps no cookie and unpacks nothing.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from esocs.outbound.addresses import Resolver, Target, read_target, resolve
from esocs.outbound.errors import OutboundError, OutboundFailedError, OutboundTimeoutError, ReplyRefusedError

USER_AGENT = "esocs"
PIECE_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of one call.

    Attributes:
        seconds: for all of it, from looking up the name to the last byte.
        bytes: of the answer's body.
    """

    seconds: float = 20.0
    bytes: int = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back."""

    status: int
    content_type: str
    body: bytes


def call(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    allowed: Collection[str] = (),
    limits: Limits | None = None,
    resolver: Resolver = socket.getaddrinfo,
) -> Reply:
    """Call a server.

    Args:
        method: `GET` or `POST`.
        url: see `read_target`.
        body: of the request.
        headers: beside the usual ones.
        allowed: origins that the operator named.
        limits: of time and size.
        resolver: as `socket.getaddrinfo`.

    Returns:
        The answer, whose status is a 2xx.

    Raises:
        AddressRefusedError: the address may not be called; nothing was sent.
        OutboundTimeoutError: it takes too long.
        OutboundFailedError: no connection, no certificate that fits, or another status.
        ReplyRefusedError: a redirect, a compressed body, or one that is too large.
    """
    limits = limits or Limits()
    until = time.monotonic() + limits.seconds
    target = read_target(url, allowed=allowed)
    addresses = resolve(target, resolver=resolver)
    connection = _Pinned(target, addresses, until)
    # A server that sends a byte a second never lets a socket's own timeout run out.
    watch = threading.Timer(max(until - time.monotonic(), 0.0), connection.cut)
    watch.daemon = True
    watch.start()
    try:
        return _exchange(connection, method, target, body, dict(headers or {}), limits)
    except OutboundError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        if connection.was_cut or time.monotonic() >= until or isinstance(error, TimeoutError):
            raise OutboundTimeoutError(f"{target.origin} did not answer within {limits.seconds:g} s.") from None
        raise OutboundFailedError(f"{target.origin} cannot be called: {type(error).__name__}: {error}"[:300]) from None
    finally:
        watch.cancel()
        connection.close()


class _Pinned(http.client.HTTPConnection):
    """A connection to one of the checked addresses; the name stays in `Host` and in the certificate's check."""

    def __init__(self, target: Target, addresses: list[str], until: float) -> None:
        super().__init__(target.origin.host, target.origin.port)
        self._target = target
        self._addresses = addresses
        self._until = until
        self._lock = threading.Lock()
        # Of its own: the connection forgets the socket once the answer's head has come.
        self._open: socket.socket | None = None
        self.was_cut = False

    def connect(self) -> None:
        error: OSError = OSError("no address")
        for address in self._addresses:
            try:
                self._keep(socket.create_connection((address, self._target.origin.port), timeout=self._left()))
                if self._target.origin.scheme == "https":
                    context = ssl.create_default_context()
                    assert self.sock is not None
                    self._keep(context.wrap_socket(self.sock, server_hostname=self._target.origin.host))
            except ssl.SSLError:
                raise
            except OSError as failed:
                error = failed
            else:
                return
        raise error

    def _keep(self, sock: socket.socket) -> None:
        with self._lock:
            self.sock = self._open = sock
            if self.was_cut:
                raise TimeoutError("cut")

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no time is left")
        return left

    def cut(self) -> None:
        """End whatever waits for the socket, from another thread."""
        with self._lock:
            self.was_cut = True
            if self._open is not None:
                with suppress(OSError):
                    # Past TLS, whose own ending would wait for the other side.
                    socket.socket.shutdown(self._open, socket.SHUT_RDWR)


def _exchange(
    connection: _Pinned, method: str, target: Target, body: bytes | None, headers: dict[str, str], limits: Limits
) -> Reply:
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Connection": "close"} | headers
    connection.request(method, target.path, body=body, headers=headers)
    response = connection.getresponse()
    if 300 <= response.status < 400:
        raise ReplyRefusedError(
            f"{target.origin} answers {response.status} and points elsewhere.", hint="Give the final address."
        )
    if not 200 <= response.status < 300:
        raise OutboundFailedError(f"{target.origin} answers {response.status} {response.reason[:80]}.")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ReplyRefusedError(f"{target.origin} answers in a compression that nobody asked for.")
    return Reply(
        status=response.status,
        content_type=response.headers.get("Content-Type", ""),
        body=_read(connection, response, target, limits),
    )


def _read(connection: _Pinned, response: http.client.HTTPResponse, target: Target, limits: Limits) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := response.read(PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > limits.bytes:
            raise ReplyRefusedError(f"{target.origin} answers with more than {limits.bytes:,} bytes.")
    if connection.was_cut:  # to the reader that looks like the end
        raise TimeoutError("cut")
    if response.length:
        raise OutboundFailedError(f"{target.origin} hung up {response.length:,} bytes before the end.")
    return b"".join(pieces)
