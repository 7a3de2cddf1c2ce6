"""A worker's process for the benchmarks of inference: runs the jobs that each line of its input names.

After each line it prints the peak of its resident memory in MiB (proc(5), VmHWM).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.benchmarks.site import SETTINGS


def main() -> None:
    """Until its input ends."""
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS
    import django

    django.setup()
    from celery import current_app

    from esocs.jobs import services as jobs

    current_app.loader.import_default_modules()
    for line in sys.stdin:
        jobs.drain(json.loads(line))
        status = Path("/proc/self/status").read_text().splitlines()
        print(next(int(row.split()[1]) / 1024 for row in status if row.startswith("VmHWM:")), flush=True)


if __name__ == "__main__":
    main()
