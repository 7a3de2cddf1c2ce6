"""The site's own settings on a database of the benchmarks' own, on the embedded PostgreSQL."""

from __future__ import annotations

from esocs.config.settings import *  # noqa: F403 - settings are imported whole
from esocs.config.settings import DATABASES, VAR

DATABASE = "esocs_bench"
DATABASES["default"]["NAME"] = DATABASE
# Sessions of the benchmark do not meet the site's in Redis.
CACHES["default"]["KEY_PREFIX"] = DATABASE  # noqa: F405
EXPORT_ROOT = VAR / "bench" / "exports"
MEDIA_ROOT = VAR / "bench" / "media"
