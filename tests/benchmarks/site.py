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
from contextlib import contextmanager
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
        used = [process.cpu_times() for process in (self.process, *self.process.children(recursive=True))]
        return sum(times.user + times.system for times in used)


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
