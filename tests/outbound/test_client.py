"""The client against real servers on this machine, which the operator has named; what they do wrong has its error."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from esocs.outbound import (
    AddressRefusedError,
    Limits,
    OutboundFailedError,
    OutboundTimeoutError,
    ReplyRefusedError,
    call,
)
from tests.outbound.test_addresses import answers

NAME = "aggregation.example.org"


class Handler(BaseHTTPRequestHandler):
    """Answers as its path says."""

    seen: list[tuple[str, str, bytes]]
    release: threading.Event

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, sent: bytes) -> None:
        type(self).seen.append((self.path, self.headers.get("Host", ""), sent))
        match self.path:
            case "/moved":
                self._send(302, {"Location": "http://169.254.169.254/"})
            case "/broken":
                self._send(500, {})
            case "/large":
                self._send(200, {}, b"x" * 5_000)
            case "/packed":
                self._send(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b")
            case "/silent":
                type(self).release.wait(30)
            case "/dripping":
                self.send_response(200)
                self.end_headers()
                while not type(self).release.wait(0.05):
                    self.wfile.write(b".")
            case "/short":
                self.send_response(200)
                self.send_header("Content-Length", "10")
                self.end_headers()
                self.wfile.write(b"half")
            case "/nonsense":
                self.wfile.write(b"SMTP ready\r\n\r\n")
            case _:
                self._send(201, {"Content-Type": "application/json"}, b'{"a": 1}')

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass

    def handle(self) -> None:
        with suppress(OSError):  # the client went away, as it should
            super().handle()


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[int, type[Handler]]]]:
    """Start a server; the port and its handler, which keeps what it saw."""
    running: list[tuple[ThreadingHTTPServer, type[Handler]]] = []

    def start(context: ssl.SSLContext | None = None) -> tuple[int, type[Handler]]:
        handler: Any = type("Seeing", (Handler,), {"seen": [], "release": threading.Event()})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append((server, handler))
        return server.server_port, handler

    yield start
    for server, handler in running:
        handler.release.set()
        server.shutdown()
        server.server_close()


def test_a_named_server_is_called_and_answers(serve: Any) -> None:
    port, handler = serve()
    reply = call("POST", f"http://127.0.0.1:{port}/x?y=1", body=b"{}", allowed=[f"http://127.0.0.1:{port}"])
    assert (reply.status, reply.content_type, reply.body) == (201, "application/json", b'{"a": 1}')
    assert handler.seen == [("/x?y=1", f"127.0.0.1:{port}", b"{}")]


def test_a_server_that_nobody_named_hears_nothing(serve: Any) -> None:
    port, handler = serve()
    for url in (f"http://127.0.0.1:{port}/", f"https://127.0.0.1:{port}/", "https://localhost:8443/"):
        with pytest.raises(AddressRefusedError):
            call("GET", url, allowed=["http://127.0.0.1:1"])
    assert handler.seen == []


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/moved", ReplyRefusedError),
        ("/broken", OutboundFailedError),
        ("/large", ReplyRefusedError),
        ("/packed", ReplyRefusedError),
        ("/silent", OutboundTimeoutError),
        ("/dripping", OutboundTimeoutError),
        ("/short", OutboundFailedError),
        ("/nonsense", OutboundFailedError),
    ],
)
def test_what_a_server_does_wrong_has_its_error(serve: Any, path: str, error: type[Exception]) -> None:
    port, handler = serve()
    limits = Limits(seconds=0.4 if error is OutboundTimeoutError else 20, bytes=1_000)
    with pytest.raises(error):
        call("GET", f"http://127.0.0.1:{port}{path}", allowed=[f"http://127.0.0.1:{port}"], limits=limits)
    assert len(handler.seen) == 1, "a redirect is not followed, and nothing is tried twice"


def test_a_port_where_nobody_listens_is_an_error(serve: Any) -> None:
    with pytest.raises(OutboundFailedError):
        call("GET", "http://127.0.0.1:9/", allowed=["http://127.0.0.1:9"])


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for a name, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def test_a_name_is_pinned_to_its_address_and_its_certificate_is_checked(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path, NAME)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    port, handler = serve(context)
    allowed = [f"https://{NAME}:{port}", f"https://other.example.org:{port}"]
    looked_up: list[str] = []

    def resolver(host: str, number: int, **_: Any) -> Any:
        looked_up.append(host)
        # Whoever is asked twice answers otherwise the second time.
        return answers("127.0.0.1" if len(looked_up) == 1 else "203.0.113.7")(host, number)

    with pytest.raises(OutboundFailedError, match="CERTIFICATE_VERIFY_FAILED"):
        call("GET", f"https://{NAME}:{port}/", allowed=allowed, resolver=answers("127.0.0.1"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(OutboundFailedError, match="CERTIFICATE_VERIFY_FAILED"):
        call("GET", f"https://other.example.org:{port}/", allowed=allowed, resolver=answers("127.0.0.1"))
    assert handler.seen == []
    assert call("GET", f"https://{NAME}:{port}/", allowed=allowed, resolver=resolver).status == 201
    assert looked_up == [NAME]
    assert handler.seen == [("/", f"{NAME}:{port}", b"")]
