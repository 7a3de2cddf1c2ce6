"""The web process answers every address without ever importing torch or the training code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LOOK = """
import sys
from esocs.config.wsgi import application
from django.urls import get_resolver
import esocs.panoptes.schema

def walk(patterns):
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from walk(pattern.url_patterns)
        else:
            yield pattern.callback

views = list(walk(get_resolver().url_patterns))
heavy = [name for name in ("torch", "galsim", "astropy", "matplotlib", "safetensors") if name in sys.modules]
print(len(views), ",".join(heavy))
"""


def test_the_web_process_imports_neither_torch_nor_what_only_workers_need() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "esocs.config.settings"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    views, _, heavy = done.stdout.strip().partition(" ")
    assert int(views) > 20
    assert heavy == ""
