"""Every scientist's page of a large project, in the web process, beside the same pages of a project of 10,000 subjects.

Ten classifications a subject, by many volunteers; predicted, routed and half of them settled. What is measured is one
request of a signed-in owner through the whole of Django, without the network on the way.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from tests.benchmarks.pages_fill import fill
from tests.benchmarks.report import parse_arguments, print_result, print_table
from tests.benchmarks.site import own_database

SMALL = 10_000
REQUESTS = 7


def list_pages(workflow: Any) -> dict[str, str]:
    """Address of each page, by a name for it; the later pages and the filters of long tables too."""
    from esocs.crowd.models import SubjectStatus

    project = f"/projects/{workflow.project.slug}/"
    base = f"{project}workflows/{workflow.pk}/"
    found = SubjectStatus.objects.filter(workflow=workflow).order_by("id")
    middle = found[found.count() // 2]
    return {
        "home": "/",
        "project": project,
        "talk": f"{project}talk/",
        "my work": f"{project}my-work/",
        "operations": f"{project}operations/",
        "exports": f"{project}exports/",
        "results": f"{base}results/",
        "results, from the middle": f"{base}results/?after={middle.pk}",
        "results, accepted": f"{base}results/?route=accept",
        "results, one answer": f"{base}results/?answer=5&state=retired",
        "results, flagged": f"{base}results/?flagged=1",
        "one subject": f"{base}results/{middle.subject_id}/",
        "similar": f"{base}results/{middle.subject_id}/similar/",
        "oddest": f"{base}oddest/",
        "drift": f"{base}drift/",
        "review": f"{base}review/",
        "review, flagged": f"{base}review/?kind=flagged",
        "volunteers": f"{base}volunteers/",
        "volunteers, least": f"{base}volunteers/?sort=least&shown=anonymous",
        "routing": f"{base}routing/",
        "retirement": f"{base}retirement/",
        "classify": f"{base}classify/",
    }


def measure(workflow: Any) -> dict[str, float]:
    """Median milliseconds of each page, each asked once before."""
    from django.test import Client

    client = Client()
    client.force_login(workflow.project.owner)
    measured = {}
    for name, path in list_pages(workflow).items():
        taken = []
        for _ in range(1 + REQUESTS):
            started = time.perf_counter()
            answer = client.get(path)
            taken.append(1000 * (time.perf_counter() - started))
            assert answer.status_code == 200, (path, answer.status_code)
            if taken[-1] > 5_000:
                break
        measured[name] = float(np.median(taken[1:] or taken))
    return measured


def main() -> None:
    """Fill the database twice, and ask for every page of either project."""
    arguments = parse_arguments(description=__doc__ or "", size=20_000, size_help="subjects")
    with own_database():
        small_workflow = fill(min(SMALL, arguments.size), name="small")
        small = measure(small_workflow)
        started = time.perf_counter()
        large_workflow = fill(arguments.size, name="large")
        filled_s = time.perf_counter() - started
        large = measure(large_workflow)
    growth = {name: large[name] / small[name] for name in large}
    rows = [(name, small[name], large[name], growth[name]) for name in sorted(large, key=large.__getitem__)]
    print_table(("page", f"ms, {min(SMALL, arguments.size):,} subjects", f"ms, {arguments.size:,}", "growth"), rows)
    slowest = max(large, key=large.__getitem__)
    print_result(
        name="pages",
        ours=large[slowest],
        peer=small[slowest],
        unit="ms",
        less_is_better=True,
        slowest_ms=large[slowest],
        slowest_page=slowest,
        growth=max(growth.values()),
        subjects=arguments.size,
        fill_s=filled_s,
    )


if __name__ == "__main__":
    main()
