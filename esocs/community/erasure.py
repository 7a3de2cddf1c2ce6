"""Erase an account: nobody can tell any more whose the answers were. The answers stay, since others rest on them."""

from __future__ import annotations

import secrets
from importlib import import_module

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models.functions import Now
from oauth2_provider.models import get_access_token_model, get_grant_model, get_refresh_token_model

from esocs.accounts.models import User, Volunteer
from esocs.community.errors import AccountNotConfirmedError, AccountOwnsProjectsError
from esocs.community.models import Comment, CommentTag, Erasure
from esocs.crowd.caesar.erasing import forget_person
from esocs.crowd.models import HARMLESS_METADATA, Classification
from esocs.jobs.services import enqueue
from esocs.projects.models import Collection, Project, ProjectPreference, ProjectRole

JOB = "community.forget_traces"

# What a classification's metadata may tell of its sender is taken out; what it says of the task stays.
FORGET = """
UPDATE crowd_classification c SET ip_key = '', metadata = (
    SELECT COALESCE(jsonb_object_agg(key, value), '{}') FROM jsonb_each(c.metadata) WHERE key = ANY(%s))
WHERE c.volunteer_id = %s
"""


@transaction.atomic
def erase_account(*, user: User, password: str) -> Erasure:
    """Erase a person's account.

    Name, address, roles, preferences, collections and tokens go; the words of their comments go, the places in the
    threads stay. Their classifications belong to a volunteer without a name from now on. What experts and owners
    did stays under a name that says nothing. Sessions and the traces in the classifications follow as a job.

    Raises:
        AccountNotConfirmedError: the password is not the account's.
        AccountOwnsProjectsError: projects would be left without an owner.
    """
    row = User.objects.select_for_update().get(pk=user.pk)
    if not row.check_password(password):
        raise AccountNotConfirmedError("This is not the account's password.", hint="Nothing was erased.")
    owned = Project.objects.filter(owner=row).values_list("display_name", flat=True)
    if owned:
        raise AccountOwnsProjectsError(
            f"You own {', '.join(owned)}.", hint="Ask the site's operators to hand them to somebody else first."
        )
    volunteer = Volunteer.objects.filter(user=row).first()
    erasure = Erasure.objects.create(
        classifications=Classification.objects.filter(volunteer=volunteer).count() if volunteer else 0,
        comments=Comment.objects.filter(author=row).count(),
        collections=Collection.objects.filter(owner=row).count(),
    )
    if volunteer is not None:
        Volunteer.objects.filter(pk=volunteer.pk).update(user=None, anonymous_key=f"erased-{secrets.token_hex(24)}")
    CommentTag.objects.filter(comment__author=row).delete()
    Comment.objects.filter(author=row).update(author=None, body="", state=Comment.State.WITHDRAWN)
    for owned_rows in (
        Collection.objects.filter(owner=row),
        ProjectPreference.objects.filter(user=row),
        ProjectRole.objects.filter(user=row),
        get_refresh_token_model().objects.filter(user=row),
        get_access_token_model().objects.filter(user=row),
        get_grant_model().objects.filter(user=row),
    ):
        owned_rows.delete()
    _take_name(row)
    payload = {"user_id": row.pk, "volunteer_id": volunteer.pk if volunteer else None}
    enqueue(JOB, key=f"user/{row.pk}", payload=payload)
    return erasure


def _take_name(user: User) -> None:
    """The row stays for what an expert or a collaborator signed; it can never be logged into again."""
    user.login = f"erased-{secrets.token_hex(10)}"
    user.display_name, user.credited_name, user.email = "Former member", "", ""
    user.is_active = user.is_staff = user.is_superuser = False
    user.last_login = None
    user.set_unusable_password()
    user.save()
    user.groups.clear()
    user.user_permissions.clear()


def forget_traces(*, user_id: int, volunteer_id: int | None) -> None:
    """End an erased person's sessions, and take out of their classifications what may tell who sent them."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    for session in Session.objects.filter(expire_date__gt=Now()).iterator(chunk_size=1_000):
        if str(session.get_decoded().get(SESSION_KEY, "")) == str(user_id):
            store(session.session_key).delete()
    forget_person(user_id=user_id, volunteer_id=volunteer_id)
    if volunteer_id is not None:
        with connection.cursor() as cursor:
            cursor.execute(FORGET, [list(HARMLESS_METADATA), volunteer_id])
