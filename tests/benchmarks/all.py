"""`make bench`: run every benchmark, one process each, and write docs/benchmarks.md with the machine named."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
# What is in this folder without being a benchmark.
SUPPORT = {"__init__", "all", "report", "prediction_worker"}
# `inference` runs it where there is a GPU; alone it is for a machine that has one for an hour.
SUPPORT |= {"inference_gpu"}


def list_benchmarks() -> list[str]:
    """The modules that run alone: those with a `main`."""
    modules = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SUPPORT)
    return [name for name in modules if "def main(" in (FOLDER / f"{name}.py").read_text()]


def run(name: str, *, data: Path | None) -> dict[str, Any]:
    """Run one benchmark, its output passed through; the JSON object of its last line, or its failure."""
    command = [sys.executable, "-m", f"tests.benchmarks.{name}"]
    kind = name.partition("_")[0]
    folder = data / kind if data and kind in {"crowd", "fits"} else None
    if folder is not None and folder.is_dir() and name != "crowd_speed":
        command += ["--data", str(folder)]
    print(f"\n== {name}", flush=True)
    ended = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, check=False)
    print(ended.stdout, flush=True)
    try:
        result: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        result = {"name": name, "failed": f"exit status {ended.returncode}"}
    return result


def machine() -> str:
    """The machine in words."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return f"{os.cpu_count()} × {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def as_markdown(results: list[dict[str, Any]]) -> str:
    """A table of the ratios, and every further figure below it."""
    lines = ["# Benchmarks", "", f"Measured {datetime.now(UTC):%Y-%m-%d} by `make bench` on {machine()}.", ""]
    lines += ["A ratio above 1 means that esocs is better than the peer that ran beside it in the same run.", ""]
    lines += ["| benchmark | ours | peer | ratio | unit |", "|---|---|---|---|---|"]
    for result in results:
        row = [result.get(key) for key in ("ours", "peer", "ratio", "unit")]
        if "failed" in result:
            row = [result["failed"], "", "", ""]
        lines.append(f"| {result['name']} | " + " | ".join(_number(value) for value in row) + " |")
    lines += ["", "## Further figures", ""]
    for result in results:
        others = {k: v for k, v in result.items() if k not in {"name", "ours", "peer", "ratio", "unit", "failed"}}
        if others:
            lines.append(f"- **{result['name']}**: " + ", ".join(f"{k} {_number(v)}" for k, v in others.items()))
    return "\n".join(lines) + "\n"


def _number(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else "–" if value is None else str(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(os.environ.get("ESOCS_REAL_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default, help="folder of genuine files, if there is one")
    parser.add_argument("names", nargs="*", help="only these (default: all)")
    arguments = parser.parse_args()
    data = arguments.data if arguments.data.is_dir() else None
    results = [run(name, data=data) for name in arguments.names or list_benchmarks()]
    if not arguments.names:
        (ROOT / "docs" / "benchmarks.md").write_text(as_markdown(results))
    print(as_markdown(results))
    return 1 if any("failed" in result for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
