"""What runs on one machine: every queue has a worker, and supervisord is told of every program."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from esocs.config import embedded, processes
from esocs.jobs.registry import KINDS, QUEUES


def queues_of(command: list[str]) -> set[str]:
    return set(command[command.index("--queues") + 1].split(","))


def test_every_queue_has_exactly_one_kind_of_worker(tmp_path: Path) -> None:
    programs = processes.list_programs(tmp_path, port=8000)
    workers = {name: queues_of(command) for name, command in programs.items() if "worker" in command}
    served = [queue for queues in workers.values() for queue in queues]
    assert sorted(served) == sorted(QUEUES)
    assert set(KINDS.values()) <= set(served)


def test_each_of_several_gpus_has_a_worker_that_sees_it_alone(tmp_path: Path) -> None:
    programs = processes.list_programs(tmp_path, port=8000, gpus=3)
    workers = [name for name in programs if "gpu" in name]
    assert workers == ["worker-gpu", "worker-gpu-1", "worker-gpu-2"]
    assert all(queues_of(programs[name]) == {"gpu"} for name in workers)
    assert len({programs[name][programs[name].index("--hostname") + 1] for name in workers}) == 3
    for number, name in enumerate(workers):
        assert f'CUDA_VISIBLE_DEVICES="{number}"' in processes.environment_of(name, gpus=3)
        assert "OMP_NUM_THREADS" not in processes.environment_of(name, gpus=3)
    assert "CUDA" not in processes.environment_of("worker-gpu") + processes.environment_of("worker-general", gpus=3)


def test_the_gpu_worker_has_one_child_which_holds_the_model(tmp_path: Path) -> None:
    command = processes.list_programs(tmp_path, port=8000)["worker-gpu"]
    assert queues_of(command) == {"gpu"}
    assert command[command.index("--concurrency") + 1] == "1"


def test_one_beat_and_one_web_server_are_among_the_programs(tmp_path: Path) -> None:
    programs = processes.list_programs(tmp_path, port=8123)
    assert [name for name, command in programs.items() if "beat" in command] == ["beat"]
    assert programs["web"][0] == "granian"
    assert programs["web"][programs["web"].index("--port") + 1] == "8123"


def test_supervisord_is_told_of_every_program_with_its_full_path(tmp_path: Path) -> None:
    path = processes._write_configuration(tmp_path, port=8000)
    configuration = configparser.RawConfigParser()
    configuration.read_string(path.read_text())
    for name, command in processes.list_programs(tmp_path, port=8000).items():
        section = configuration[f"program:{name}"]
        program = Path(section["command"].split()[0])
        assert program.is_absolute()
        assert program.name == command[0]
        assert program.exists()
        assert section["stopasgroup"] == section["killasgroup"] == section["autorestart"] == "true"
        # supervisord expands % itself.
        assert "%" not in section["command"].replace("%%", "")


def test_a_long_folder_gets_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30)
    configuration = processes._write_configuration(deep, port=8000).read_text()
    (line,) = (line for line in configuration.splitlines() if line.startswith("file="))
    assert len(line) - len("file=") <= embedded.SOCKET_PATH_LIMIT


def test_a_site_that_was_never_started_has_no_address(tmp_path: Path) -> None:
    assert processes.site_url(tmp_path) is None
    assert processes.status(tmp_path) == "The site is stopped."
    processes.stop(tmp_path)


def test_a_damaged_note_of_the_address_is_no_address(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "site.json").write_text("{")
    assert processes.site_url(tmp_path) is None


def test_a_stale_pid_file_is_not_taken_for_a_running_site(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "supervisord.pid").write_text("4194304")  # above Linux' largest pid
    assert processes._running(tmp_path) is None


def test_an_unknown_verb_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert processes.main(["restart"]) == 2
    assert "usage" in capsys.readouterr().err
