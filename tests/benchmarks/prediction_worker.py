"""A worker's process for the benchmark of inference: runs the jobs named on its input and prints its peak memory."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.benchmarks.site import SETTINGS


def main() -> None:
    """Run the jobs; the last line printed is the peak of the resident memory in MiB (proc(5), VmHWM)."""
    request = json.load(sys.stdin)
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS
    import django

    django.setup()
    from celery import current_app
    from django.conf import settings

    from esocs.jobs import services as jobs

    settings.SHARD_ROOT, settings.WEIGHTS_ROOT = Path(request["shards"]), Path(request["weights"])
    current_app.loader.import_default_modules()
    jobs.drain(request["jobs"])
    status = Path("/proc/self/status").read_text().splitlines()
    print(next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:")))


if __name__ == "__main__":
    main()
