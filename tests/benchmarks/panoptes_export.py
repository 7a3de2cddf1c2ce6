"""A million classifications to Panoptes' CSV, labels resolved at their version; otherwise as `export_rows`."""

from __future__ import annotations

from tests.benchmarks import export_rows


def main() -> None:
    """Fill the database, export by both, and print the figures."""
    export_rows.run("panoptes_export", description=__doc__, size=1_000_000)


if __name__ == "__main__":
    main()
