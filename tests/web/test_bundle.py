"""What the classify page costs to load, as the build measured it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

DIST = Path(__file__).resolve().parents[2] / "frontend" / "dist"


def test_the_classify_pages_javascript_is_at_most_100_kb_gzip() -> None:
    manifest = json.loads((DIST / "manifest.json").read_text(encoding="utf-8"))
    needed: set[str] = set()

    def need(key: str) -> None:
        if key not in needed:
            needed.add(key)
            for part in ("imports", "dynamicImports"):  # what a workflow with every kind of task fetches
                for imported in manifest[key].get(part, []):
                    need(imported)

    need("src/shared/main.ts")
    need("src/classify/main.ts")
    size = sum(len(gzip.compress((DIST / manifest[key]["file"]).read_bytes(), 9)) for key in needed)
    assert 5_000 < size <= 100_000


def test_nothing_is_loaded_from_elsewhere() -> None:
    for file in [*DIST.glob("assets/*.css"), *DIST.glob("assets/*.js")]:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
        assert "http://" not in text and "https://" not in text, file.name  # noqa: PT018


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((DIST.parent / "package-lock.json").read_text(encoding="utf-8"))
    assert all("resolved" not in package for package in lock["packages"].values())
