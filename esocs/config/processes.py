"""The web server, the workers and beat on one machine: kept alive by supervisord, under `var/`.

`python -m esocs.config.processes start|stop|status`. A deployment uses docker-compose.yml instead; both run the same
commands (a test compares them). supervisord restarts what dies, so a killed worker is back in a second and the ledger's
sweeper gives its jobs to the next.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from classifier.errors import EsocsError
from esocs.config import embedded
from esocs.jobs.registry import QUEUES

ROOT = Path(__file__).resolve().parents[2]
FIRST_PORT = 8000
WEB_THREADS = 8

PROGRAM = """
[program:{name}]
command={command}
directory={root}
environment=ESOCS_VAR="{var}"{environment}
autostart={autostart}
autorestart=true
startretries=10
stopasgroup=true
killasgroup=true
stopwaitsecs=20
redirect_stderr=true
stdout_logfile={var}/log/{name}.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=2
"""

SUPERVISOR = """
[unix_http_server]
file={socket}
[supervisord]
logfile={var}/log/supervisord.log
logfile_maxbytes=5MB
pidfile={var}/run/supervisord.pid
childlogdir={var}/log
{user}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{socket}
"""


class SiteNotStartedError(EsocsError):
    """The web server did not answer in time."""

    code = "site_not_started"
    status = 503


def web_command(*, host: str, port: int, workers: int = 2) -> list[str]:
    """The web process; it never imports torch."""
    options = ["--interface", "wsgi", "--host", host, "--port", str(port), "--workers", str(workers)]
    options += ["--blocking-threads", str(WEB_THREADS), "--backlog", "1024", "--respawn-failed-workers"]
    return ["granian", *options, "esocs.config.wsgi:application"]


def worker_command(*, name: str, queues: tuple[str, ...], concurrency: int) -> list[str]:
    """A worker. A gpu worker's child holds the model."""
    options = ["--hostname", f"{name}@%h", "--queues", ",".join(queues), "--concurrency", str(concurrency)]
    return ["celery", "--app", "esocs.config.celery", "worker", *options, "--loglevel", "WARNING", "--without-mingle"]


def beat_command(var: Path | str) -> list[str]:
    """Beat. Several may run: a periodic job claims its slot in the ledger."""
    schedule = f"{var}/run/celerybeat-schedule"
    return ["celery", "--app", "esocs.config.celery", "beat", "--schedule", schedule, "--loglevel", "WARNING"]


def list_programs(var: Path, *, port: int, gpus: int = 1) -> dict[str, list[str]]:
    """Everything that runs on one machine: name → command. Each of several GPUs has a worker of its own."""
    others = tuple(queue for queue in QUEUES if queue != "gpu")
    names = ["gpu", *(f"gpu-{number}" for number in range(1, gpus))]
    return {
        "web": web_command(host="127.0.0.1", port=port),
        "worker-general": worker_command(name="general", queues=others, concurrency=2),
        **{f"worker-{name}": worker_command(name=name, queues=("gpu",), concurrency=1) for name in names},
        "beat": beat_command(var),
    }


def environment_of(program: str, *, gpus: int = 1) -> str:
    """A program's own variables, as supervisord writes them.

    The cores are shared by everybody: a gpu worker's arithmetic alone may use them all, and its threads sleep while
    they wait. Spinning threads made a training on a busy machine ten times slower.
    """
    if not program.startswith("worker-gpu"):
        return ',OMP_NUM_THREADS="1",OPENBLAS_NUM_THREADS="1"'
    number = program.removeprefix("worker-gpu").removeprefix("-") or "0"
    device = f',CUDA_VISIBLE_DEVICES="{number}"' if gpus > 1 else ""
    return f',OMP_WAIT_POLICY="PASSIVE",OPENBLAS_NUM_THREADS="1"{device}'


def _configuration_path(var: Path) -> Path:
    return var / "run" / "supervisord.conf"


def _write_configuration(var: Path, *, port: int) -> Path:
    for folder in ("run", "log", "static"):
        (var / folder).mkdir(parents=True, exist_ok=True)
    short = embedded.short_socket_dir(var / "run")
    short.mkdir(parents=True, exist_ok=True)
    user = "user=root" if os.geteuid() == 0 else ""
    text = SUPERVISOR.format(var=var, socket=short / "supervisor.sock", user=user)
    binaries = Path(sys.executable).parent
    gpus = max(1, int(os.environ.get("ESOCS_GPUS") or 1))
    for name, (program, *options) in list_programs(var, port=port, gpus=gpus).items():
        # supervisord expands % itself, so Celery's %h is written twice.
        command = " ".join([str(binaries / program), *options]).replace("%", "%%")
        # The site answers first; the workers are started as soon as it does.
        autostart = "true" if name == "web" else "false"
        environment = environment_of(name, gpus=gpus)
        text += PROGRAM.format(
            name=name, command=command, root=ROOT, var=var, environment=environment, autostart=autostart
        )
    path = _configuration_path(var)
    path.write_text(text)
    return path


def _free_port() -> int:
    """The first port from 8000 on that nobody listens on."""
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise SiteNotStartedError("No free port between 8000 and 8099.", hint="Set ESOCS_PORT.")


def _running(var: Path) -> int | None:
    try:
        pid = int((var / "run" / "supervisord.pid").read_text())
        os.kill(pid, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    return pid


def site_url(var: Path) -> str | None:
    """The address at which the site was last started."""
    try:
        return str(json.loads((var / "run" / "site.json").read_text())["url"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def start(var: Path) -> str:
    """Start everything that does not run yet and wait until the site answers. Returns its address.

    Raises:
        SiteNotStartedError: the web server does not answer within a minute.
    """
    url = site_url(var)
    if _running(var) is None or url is None:
        port = int(os.environ.get("ESOCS_PORT") or _free_port())
        url = f"http://127.0.0.1:{port}"
        configuration = _write_configuration(var, port=port)
        supervisord = Path(sys.executable).parent / "supervisord"
        subprocess.run([str(supervisord), "-c", str(configuration)], check=True, cwd=ROOT)
        (var / "run" / "site.json").write_text(json.dumps({"url": url}))
    _wait_for(f"{url}/health", log=var / "log" / "web.log")
    # Nobody waits for the workers: what they are to do stands in the ledger.
    subprocess.Popen(_control(var, "start", "all"), stdout=subprocess.DEVNULL, start_new_session=True)
    return url


def _control(var: Path, *words: str) -> list[str]:
    """The command that has supervisord do something."""
    return [str(Path(sys.executable).parent / "supervisorctl"), "-c", str(_configuration_path(var)), *words]


def _wait_for(url: str, *, log: Path, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own address
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise SiteNotStartedError(f"The site does not answer at {url}: {error}", hint=f"Read {log}.") from error
        time.sleep(0.2)


def stop(var: Path) -> None:
    """Stop supervisord and all it keeps alive, and wait until they have ended."""
    pid = _running(var)
    if pid is None:
        return
    os.kill(pid, 15)
    deadline = time.monotonic() + 60
    while _running(var) is not None and time.monotonic() < deadline:
        time.sleep(0.1)
    (var / "run" / "site.json").unlink(missing_ok=True)


def status(var: Path) -> str:
    """Supervisord's own list of what runs."""
    if _running(var) is None:
        return "The site is stopped."
    listed = subprocess.run(_control(var, "status"), capture_output=True, text=True, check=False)
    return f"{site_url(var)}\n{listed.stdout.rstrip()}"


def main(arguments: list[str]) -> int:
    """Run `start`, `stop` or `status`; the exit code is 0 on success."""
    var = embedded.default_var().resolve()
    try:
        match arguments:
            case ["start"]:
                embedded.start(var)
                print(start(var))
            case ["stop"]:
                stop(var)
                embedded.stop(var)
            case ["status"]:
                print(embedded.status(var))
                print(status(var))
            case _:
                print("usage: python -m esocs.config.processes start|stop|status", file=sys.stderr)
                return 2
    except EsocsError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
