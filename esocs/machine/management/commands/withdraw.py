"""`manage.py withdraw --workflow ID --because WHY`: accept nothing more from the machine, and give back what it had."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from esocs.jobs.command import JobCommand, complete_group
from esocs.machine import handover, routing, services, withdrawal
from esocs.projects.queries import select_workflows


class Command(JobCommand):
    help = (
        "Withdraw the thresholds in force: what was accepted goes to volunteers, until `route --again` or retraining."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--workflow", type=int, required=True, help="id")
        parser.add_argument("--because", required=True, help="why, for the people who run the project")

    def handle(self, *args: Any, **options: Any) -> None:
        (workflow,) = select_workflows(workflow_id=options["workflow"])
        policy = routing.latest_policy(services.get_champion(workflow))
        if withdrawal.withdraw_policy(policy, because=options["because"]):
            group = handover.group_of(policy)
            complete_group(group, label=f"giving back, {workflow}", workers=options["workers"])
            self.stdout.write(f"{workflow}: {policy} is withdrawn. `manage.py route --again` certifies anew.")
        else:
            policy.refresh_from_db()
            self.stdout.write(
                f"{workflow}: {policy} was withdrawn on {policy.withdrawn_at:%Y-%m-%d %H:%M} UTC: "
                f"{policy.withdrawn_because}"
            )
