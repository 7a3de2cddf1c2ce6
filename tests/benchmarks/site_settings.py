"""The site's own settings on a database of the benchmarks' own, on the embedded PostgreSQL."""

from __future__ import annotations

import os

from esocs.config.settings import *  # noqa: F403 - settings are imported whole
from esocs.config.settings import DATABASES, VAR

# Named by the benchmark that began, so that two at once do not meet; its own child processes inherit the name.
DATABASE = os.environ.setdefault("ESOCS_BENCHMARK_DATABASE", f"esocs_bench_{os.getpid()}")
DATABASES["default"]["NAME"] = DATABASE
# Sessions of the benchmark do not meet the site's in Redis.
CACHES["default"]["KEY_PREFIX"] = DATABASE  # noqa: F405
EXPORT_ROOT = VAR / DATABASE / "exports"
MEDIA_ROOT = VAR / DATABASE / "media"
