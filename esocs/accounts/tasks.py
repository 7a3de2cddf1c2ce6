"""The accounts room's background work: tokens whose time is over are forgotten once a day."""

from __future__ import annotations

from oauth2_provider.models import clear_expired

from esocs.jobs import registry
from esocs.jobs.registry import Effect, JobContext

registry.periodic("accounts.forget_tokens", every_s=24 * 60 * 60)


@registry.handler("accounts.forget_tokens")
def forget_tokens(_: JobContext) -> Effect | None:
    return clear_expired  # type: ignore[no-any-return]
