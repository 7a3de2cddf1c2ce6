"""docker-compose.yml and deploy/nginx.conf against the code: everything that they name exists. No docker is needed."""

from __future__ import annotations

import json
import re
import shlex
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import jsonschema
import pytest
import yaml
from django.core.management import get_commands

from esocs.config import processes
from esocs.jobs.registry import QUEUES

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NGINX = (ROOT / "deploy" / "nginx.conf").read_text()
OUR_IMAGE = "esocs:${ESOCS_VERSION:-latest}"
OURS = {name: service for name, service in SERVICES.items() if service.get("image") == OUR_IMAGE}
WORKERS = {name: service for name, service in OURS.items() if "worker" in service["command"]}

# Programs that the images of others bring.
THEIRS = {"redis-server", "redis-cli", "pg_isready", "wget"}

# Why a long-running service may do without a health check.
UNCHECKED = {"beat": "it answers nothing; a beat that died is restarted, and a late tick is made up for by the next"}

# ${NAME}, ${NAME:-default}, ${NAME:?what to do}; $$ is a dollar for the container's shell.
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(?::[-?][^}]*)?\}")

TEXTS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
SCALARS = {"type": ["string", "number", "boolean", "null"]}
COMPOSE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["services"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "services": {
            "type": "object",
            "patternProperties": {"^[a-zA-Z0-9._-]+$": {"$ref": "#/$defs/service"}},
            "additionalProperties": False,
        },
        "volumes": {"type": "object", "additionalProperties": {"type": ["object", "null"]}},
    },
    "$defs": {
        "service": {
            "type": "object",
            "anyOf": [{"required": ["image"]}, {"required": ["build"]}],
            "additionalProperties": False,
            "properties": {
                "image": {"type": "string"},
                "build": {"type": ["string", "object"]},
                "command": TEXTS,
                "environment": {
                    "type": "object",
                    "patternProperties": {"^[A-Z][A-Z0-9_]*$": SCALARS},
                    "additionalProperties": False,
                },
                "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
                "volumes": {"type": "array", "items": {"type": "string", "pattern": "^[^:]+:/.+$|^\\$\\{.+\\}:/.+$"}},
                "ports": {"type": "array", "items": {"type": "string"}},
                "shm_size": {"type": "string", "pattern": "^[0-9]+(b|k|m|g|kb|mb|gb)$"},
                "depends_on": {
                    "type": "object",
                    "additionalProperties": {
                        "type": "object",
                        "required": ["condition"],
                        "additionalProperties": False,
                        "properties": {
                            "condition": {
                                "enum": ["service_started", "service_healthy", "service_completed_successfully"]
                            }
                        },
                    },
                },
                "healthcheck": {
                    "type": "object",
                    "required": ["test", "interval", "timeout", "retries"],
                    "additionalProperties": False,
                    "properties": {
                        "test": {**TEXTS, "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}], "minItems": 2},
                        "interval": {"$ref": "#/$defs/duration"},
                        "timeout": {"$ref": "#/$defs/duration"},
                        "start_period": {"$ref": "#/$defs/duration"},
                        "retries": {"type": "integer", "minimum": 1},
                    },
                },
                "deploy": {
                    "type": "object",
                    "properties": {
                        "resources": {
                            "type": "object",
                            "properties": {
                                "reservations": {
                                    "type": "object",
                                    "properties": {"devices": {"type": "array", "items": {"$ref": "#/$defs/device"}}},
                                }
                            },
                        }
                    },
                },
            },
        },
        "duration": {"type": "string", "pattern": "^([0-9]+(us|ms|s|m|h))+$"},
        "device": {
            "type": "object",
            "required": ["capabilities"],
            "additionalProperties": False,
            "properties": {
                "driver": {"type": "string"},
                "count": {"type": ["integer", "string"]},
                "device_ids": TEXTS,
                "capabilities": TEXTS,
            },
        },
    },
}


def healthcheck_words(service: dict[str, Any]) -> list[str]:
    how, *words = service["healthcheck"]["test"]
    return shlex.split(words[0]) if how == "CMD-SHELL" else list(words)


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def expand(text: str, values: dict[str, str]) -> str:
    """The text with its variables as compose would put them in, unset ones at their default."""

    def value(match: re.Match[str]) -> str:
        default = match[0].partition(":-")[2].rstrip("}")
        return values.get(match[1], default)

    return VARIABLE.sub(value, text)


def test_the_compose_file_follows_the_specification() -> None:
    jsonschema.Draft202012Validator.check_schema(COMPOSE_SCHEMA)
    jsonschema.validate(COMPOSE, COMPOSE_SCHEMA)


def test_whoever_is_waited_for_exists_and_can_meet_the_condition() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} waits for {other}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for {other}, whose health nobody checks"
            if how["condition"] == "service_completed_successfully":
                assert SERVICES[other]["restart"] == "no", f"{name} waits for the end of {other}"


def test_every_named_volume_is_declared_and_every_mounted_file_exists() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = expand(mount, {}).partition(":")[0]
            if source.startswith("./deploy/"):
                assert (ROOT / source).is_file()
            elif not source.startswith(("./", "/")):
                assert source in COMPOSE["volumes"]


def test_every_long_running_service_has_a_health_check_or_a_reason() -> None:
    running = {name for name, service in SERVICES.items() if service["restart"] != "no"}
    unchecked = {name for name in running if "healthcheck" not in SERVICES[name]}
    assert unchecked == set(UNCHECKED)


def test_every_program_exists() -> None:
    scripts = {script.name for script in entry_points(group="console_scripts")}
    for name, service in SERVICES.items():
        programs = [words[0] for words in (service.get("command"), _checked(service)) if words]
        for program in programs:
            assert program in scripts | THEIRS | {"python"}, f"{name} runs {program}"
        command = service.get("command", [])
        if command[:1] == ["python"]:
            assert command[1] == "manage.py"
            assert command[2] in get_commands()


def _checked(service: dict[str, Any]) -> list[str]:
    return healthcheck_words(service) if "healthcheck" in service else []


@pytest.mark.parametrize("name", [name for name, service in OURS.items() if service["command"][0] != "python"])
def test_every_option_is_one_that_the_program_takes(name: str) -> None:
    program, *words = OURS[name]["command"]
    _parse(program, words)


@pytest.mark.parametrize("name", list(processes.list_programs(Path("var"), port=8000)))
def test_the_programs_of_one_machine_take_their_options_too(name: str) -> None:
    program, *words = processes.list_programs(Path("var"), port=8000)[name]
    _parse(program, words)


def _parse(program: str, words: list[str]) -> None:
    """Raises click's error for an option that does not exist or lacks its value; starts nothing."""
    if program == "granian":
        from granian.cli import cli

        assert _options(cli, words)["app"] == "esocs.config.wsgi:application"
    else:
        from celery.bin.celery import celery

        assert [program, *words[:2]] == ["celery", "--app", "esocs.config.celery"]
        _options(celery.commands[words[2]], words[3:])


def _options(command: click.Command, words: list[str]) -> dict[str, Any]:
    options, left, _ = command.make_parser(click.Context(command)).parse_args(list(words))
    assert not left
    return dict(options)


def test_the_health_checks_of_workers_ask_for_the_workers_own_name() -> None:
    from celery.bin.celery import celery

    for name, service in WORKERS.items():
        own = service["environment"]["ESOCS_WORKER"]
        assert option(service["command"], "--hostname") == f"{own}@%h", name
        words = healthcheck_words(service)
        assert words[:4] == ["celery", "--app", "esocs.config.celery", "inspect"]
        assert option(words, "--destination") == "$$ESOCS_WORKER@$$HOSTNAME"
        assert _options(celery.commands["inspect"], words[4:])["destination"]


def test_every_queue_has_exactly_one_worker_service() -> None:
    listened = [queue for service in WORKERS.values() for queue in option(service["command"], "--queues").split(",")]
    assert sorted(listened) == sorted(QUEUES)


def test_one_machine_listens_to_every_queue_too() -> None:
    programs = processes.list_programs(Path("var"), port=8000)
    workers = [command for name, command in programs.items() if name.startswith("worker")]
    assert sorted(queue for command in workers for queue in option(command, "--queues").split(",")) == sorted(QUEUES)


def test_the_gpu_worker_alone_reserves_a_gpu_and_has_one_child() -> None:
    reserving = {name for name, service in SERVICES.items() if "deploy" in service}
    assert reserving == {"worker-gpu"}
    [device] = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert option(SERVICES["worker-gpu"]["command"], "--concurrency") == "1"


def test_the_web_command_is_the_one_of_one_machine() -> None:
    command = SERVICES["web"]["command"]
    workers, port = int(option(command, "--workers")), int(option(command, "--port"))
    assert command == processes.web_command(host="0.0.0.0", port=port, workers=workers)


@pytest.mark.parametrize("name", list(WORKERS))
def test_a_workers_command_is_the_one_of_one_machine(name: str) -> None:
    command = WORKERS[name]["command"]
    assert command == processes.worker_command(
        name=WORKERS[name]["environment"]["ESOCS_WORKER"],
        queues=tuple(option(command, "--queues").split(",")),
        concurrency=int(option(command, "--concurrency")),
    )


def test_beats_command_is_the_one_of_one_machine() -> None:
    command = SERVICES["beat"]["command"]
    elsewhere = processes.beat_command("var")
    where = command.index("--schedule") + 1
    assert command[:where] + command[where + 1 :] == elsewhere[:where] + elsewhere[where + 1 :]


def test_every_variable_that_is_set_is_read() -> None:
    read = set(re.findall(r'env\.[a-z_]+\("([A-Z_]+)"', (ROOT / "esocs" / "config" / "settings.py").read_text()))
    for name, service in OURS.items():
        used = set(re.findall(r"\$\$([A-Z_]+)", json.dumps(service.get("healthcheck", {}))))
        for variable in service["environment"]:
            assert variable in read | used, f"{name} sets {variable}, which nothing reads"


def test_what_a_deployment_must_choose_is_demanded() -> None:
    for name in ("POSTGRES_PASSWORD", "ESOCS_SECRET_KEY", "ESOCS_PUBLIC_URL", "ESOCS_ALLOWED_HOSTS"):
        assert re.search(rf"\$\{{{name}:\?[^}}]+\}}", COMPOSE_TEXT), f"{name} has no default and is not demanded"


def test_every_variable_of_the_compose_file_is_explained() -> None:
    explained = (ROOT / "docs" / "configuration.md").read_text()
    for name in set(VARIABLE.findall(COMPOSE_TEXT)):
        assert f"| `{name}` |" in explained


def test_the_health_checks_ask_under_a_name_that_the_site_answers_to() -> None:
    """Django refuses a request for a host that is not allowed, be it for /health."""
    chosen = expand(OURS["web"]["environment"]["ESOCS_ALLOWED_HOSTS"], {"ESOCS_ALLOWED_HOSTS": "esocs.example.org"})
    asked = re.findall(r"http://[^'\"\s]+", " ".join(healthcheck_words(SERVICES["web"])))
    asked += re.findall(r"http://[^'\"\s]+", " ".join(healthcheck_words(SERVICES["nginx"])))
    assert len(asked) == 2
    for url in asked:
        assert urlsplit(url).path == "/health"
        assert urlsplit(url).hostname in chosen.split(",")


def test_nginx_serves_the_media_where_the_workers_write_them() -> None:
    var = OURS["web"]["environment"]["ESOCS_VAR"]
    [(address, folder)] = re.findall(r"location (/media/) \{\s*alias (\S+);", NGINX)
    assert (address, folder) == ("/media/", f"{var}/media/")
    assert OURS["web"]["environment"]["ESOCS_SERVE_MEDIA"] == "false"
    for service in (*OURS.values(), SERVICES["nginx"]):
        targets = {mount.removesuffix(":ro").rpartition(":")[2]: mount for mount in service["volumes"]}
        assert targets[var].startswith("files:")


def test_nginx_asks_the_web_service_at_its_port() -> None:
    command = SERVICES["web"]["command"]
    assert f"server web:{option(command, '--port')};" in NGINX
    assert f"EXPOSE {option(command, '--port')}" in (ROOT / "Dockerfile").read_text()


def test_the_largest_request_is_the_same_for_nginx_and_the_site(settings: Any) -> None:
    megabytes, for_uploads = map(int, re.findall(r"client_max_body_size (\d+)m;", NGINX))
    assert megabytes * 1024 * 1024 == settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    # Uploads have a limit of their own, which the site keeps; nginx only must not stand in its way.
    assert for_uploads * 1024 * 1024 >= settings.UPLOAD_LIMIT_BYTES


def test_the_image_takes_nothing_that_the_build_leaves_out() -> None:
    left_out = set((ROOT / ".dockerignore").read_text().split())
    for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.rstrip("/") not in left_out
