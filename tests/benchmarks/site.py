"""A site for benchmarks: a database of their own, filled and dropped, and web servers as the product runs them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from esocs.config import embedded
from esocs.config.processes import web_command

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = "tests.benchmarks.site_settings"


@contextmanager
def own_database() -> Iterator[str]:
    """Django set up on an empty database of its own, migrated; dropped at the end.

    Yields:
        The database's address.
    """
    var = embedded.default_var()
    embedded.start(var)
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from tests.benchmarks.site_settings import DATABASE, VAR

    _recreate(var, DATABASE)
    try:
        call_command("migrate", verbosity=0)
        yield embedded.postgres_url(var, name=DATABASE)
    finally:
        connections.close_all()
        _drop(var, DATABASE)
        shutil.rmtree(VAR / DATABASE, ignore_errors=True)


def _recreate(var: Path, name: str) -> None:
    _drop(var, name)
    with psycopg.connect(embedded.postgres_url(var, name="postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _drop(var: Path, name: str) -> None:
    with psycopg.connect(embedded.postgres_url(var, name="postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running web server."""

    port: int
    process: psutil.Process

    def cpu_s(self) -> float:
        """Processor seconds of its processes so far."""
        return _cpu_s(self.process)


def stores_cpu_s() -> dict[str, float]:
    """Processor seconds so far of the embedded stores, by name."""
    pids = embedded.running(embedded.default_var())
    return {name: _cpu_s(psutil.Process(pid)) for name, pid in pids.items() if pid}


def _cpu_s(process: psutil.Process) -> float:
    """Of a process and its children, those included that have ended and were waited for."""
    own = process.cpu_times()
    used = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        # One that ends meanwhile is counted with its parent next time.
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            used += times.user + times.system
    return used


class KeepAlive:
    """One kept HTTP connection that does no more than it must: what the client spends, the server lacks.

    Server headers are read as far as the callers need them: the status, the length of the body and the cookies.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._head = f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        self._left = b""

    def request(self, method: str, path: str, headers: str = "", body: bytes = b"") -> tuple[int, bytes, str]:
        """Status, body and cookies ("" when none is set) of an answer; `headers` are whole lines."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self._socket.sendall(f"{method} {path}{self._head}{headers}{length}\r\n".encode() + body)
        head, _, rest = self._receive_until(b"\r\n\r\n").partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = [line.partition(":") for line in lines[1:]]
        announced = int(next(value for name, _, value in fields if name.lower() == "content-length"))
        cookies = [value.strip().partition(";")[0] for name, _, value in fields if name.lower() == "set-cookie"]
        while len(rest) < announced:
            rest += self._receive()
        content, self._left = rest[:announced], rest[announced:]
        return int(lines[0].split(" ", 2)[1]), content, "; ".join(cookies)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _receive_until(self, mark: bytes) -> bytes:
        received = self._left
        while mark not in received:
            received += self._receive()
        return received

    def _receive(self) -> bytes:
        part = self._socket.recv(65_536)
        if not part:
            raise ConnectionError("The server closed the connection.")
        return part


@contextmanager
def web_server(application: str, *, path: str) -> Iterator[Server]:
    """Granian with the product's own options, until the block ends. `path` answers anything once it is up."""
    port = _free_port()
    program, *options = web_command(host="127.0.0.1", port=port)
    command = [str(Path(sys.executable).parent / program), *options[:-1], application]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": SETTINGS, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait_until_up(f"http://127.0.0.1:{port}{path}", process)
        yield Server(port=port, process=psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
