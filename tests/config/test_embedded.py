"""PostgreSQL and Redis from wheels: their addresses, their state, and paths that are too long for a socket."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
import redis

from esocs.config import embedded


def test_a_short_folder_holds_its_own_socket() -> None:
    assert embedded.short_socket_dir(Path("/srv/esocs/var/redis")) == Path("/srv/esocs/var/redis")


def test_a_long_folder_has_a_short_stand_in_of_its_own() -> None:
    first, second = (embedded.short_socket_dir(Path(f"/srv/{'deep/' * 30}{name}")) for name in "ab")
    assert first != second
    assert first == embedded.short_socket_dir(Path(f"/srv/{'deep/' * 30}a"))
    assert len(str(first / "supervisor.sock.12345")) <= embedded.SOCKET_PATH_LIMIT


def test_addresses_are_known_before_the_servers_run(tmp_path: Path) -> None:
    assert embedded.postgres_url(tmp_path) == f"postgresql://postgres@/esocs?host={tmp_path / 'postgres'}"
    assert embedded.postgres_url(tmp_path, name="other").startswith("postgresql://postgres@/other?")
    assert embedded.redis_url(tmp_path).startswith("unix:///")
    assert embedded.redis_url(tmp_path).endswith("/redis.sock")


def test_the_address_of_a_running_postgresql_is_read_from_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "postmaster.pid").write_text("123\n/data\n1790000000\n5432\n/tmp/elsewhere\n\n")
    assert embedded.postgres_url(tmp_path) == "postgresql://postgres@/esocs?host=/tmp/elsewhere"


def test_the_address_leads_to_the_running_postgresql() -> None:
    with psycopg.connect(embedded.postgres_url(embedded.default_var(), name="postgres")) as connection:
        version = connection.execute("SELECT current_setting('server_version_num')::int").fetchone()
        vector = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone()
    assert version is not None
    assert version[0] >= 160000
    assert vector == (1,)


def test_redis_starts_once_answers_and_stops_even_below_a_long_path(tmp_path: Path) -> None:
    var = tmp_path / ("very-long-name-" * 8)
    assert "stopped" in embedded.status(var)
    embedded.start_redis(var)
    try:
        pid = embedded._redis_pid(var)
        embedded.start_redis(var)
        assert embedded._redis_pid(var) == pid
        with redis.Redis.from_url(embedded.redis_url(var)) as client:
            assert client.ping()
            assert client.config_get("save") == {"save": ""}
        assert f"running, pid {pid}" in embedded.status(var)
    finally:
        embedded.stop(var)
    assert embedded._redis_pid(var) is None
    assert "running" not in embedded.status(var)


def test_a_stale_pid_file_is_not_taken_for_a_running_server(tmp_path: Path) -> None:
    for name in ("redis/redis.pid", "postgres/postmaster.pid"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("4194304\n")  # above Linux' largest pid
    assert embedded.status(tmp_path).count("stopped") == 2
    embedded.stop(tmp_path)


def test_servers_of_ones_own_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me@db.example/esocs")
    monkeypatch.setenv("REDIS_URL", "redis://cache.example/0")
    embedded.start(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["restart"], ["start", "stop"]])
def test_an_unknown_verb_is_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert embedded.main(arguments) == 2
    assert "usage" in capsys.readouterr().err
