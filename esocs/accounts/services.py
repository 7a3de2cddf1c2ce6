"""Writes about people: sign-up, and the volunteer row that stands for a user or an anonymous session."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from classifier.errors import EsocsError
from esocs.accounts.models import User, Volunteer


class LoginTakenError(EsocsError):
    """Somebody already has this login."""

    code = "login_taken"
    status = 409


class SignUpInvalidError(EsocsError):
    """The login or the password cannot be used."""

    code = "sign_up_invalid"
    status = 422


def _keyed_hash(purpose: str, value: str) -> str:
    """A hash that nobody without the site's key can reproduce, so stored tokens and addresses give nothing away."""
    return hmac.digest(settings.SECRET_KEY.encode(), f"{purpose}:{value}".encode(), "sha256").hex()


def hash_ip(address: str) -> str:
    """The salted hash under which a sender's address is kept; the address itself is never stored."""
    return _keyed_hash("ip", address) if address else ""


@transaction.atomic
def sign_up(
    *,
    login: str,
    password: str,
    email: str = "",
    display_name: str = "",
    credited_name: str = "",
    anonymous_token: str | None = None,
) -> User:
    """Create a user; what their anonymous session classified so far becomes theirs.

    Raises:
        LoginTakenError: the login exists, in whatever case.
        SignUpInvalidError: the login has odd characters or the password is weak.
    """
    user = User(login=login, email=email, display_name=display_name, credited_name=credited_name)
    try:
        user.clean_fields(exclude=["password"])
        validate_password(password, user)
    except ValidationError as error:
        raise SignUpInvalidError(" ".join(error.messages)) from error
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        raise LoginTakenError(_("This name is taken."), hint=_("Choose another, or log in.")) from error
    adopted = 0
    if anonymous_token:
        key = _keyed_hash("anonymous", anonymous_token)
        adopted = Volunteer.objects.filter(anonymous_key=key, user=None).update(user=user)
    if not adopted:
        Volunteer.objects.create(user=user)
    return user


class AccountInvalidError(EsocsError):
    """A name or an address that cannot be kept."""

    code = "account_invalid"
    status = 422


def change_account(*, user: User, display_name: str, credited_name: str, email: str) -> None:
    """Change how a person is called and reached; an empty credited name: not named in releases.

    Raises:
        AccountInvalidError: a name is too long, or the address is none.
    """
    user.display_name, user.credited_name, user.email = display_name, credited_name, email
    try:
        user.clean_fields(exclude=["password", "login"])
    except ValidationError as error:
        raise AccountInvalidError(" ".join(error.messages)) from error
    user.updated_at = timezone.now()
    user.save(update_fields=["display_name", "credited_name", "email", "updated_at"])


def choose_language(*, user: User, language: str) -> None:
    """Keep the language that a person wants the pages in, for their next log-in elsewhere."""
    user.language = language
    user.save(update_fields=["language"])


def change_password(*, user: User, old: str, new: str) -> None:
    """Give a person another password.

    Raises:
        SignUpInvalidError: the old one is wrong, or the new one is weak.
    """
    if not user.check_password(old):
        raise SignUpInvalidError(_("The present password is not this one."))
    try:
        validate_password(new, user)
    except ValidationError as error:
        raise SignUpInvalidError(" ".join(error.messages)) from error
    user.set_password(new)
    user.save(update_fields=["password"])


def volunteer_for_user(user: User) -> Volunteer:
    """The volunteer row of a user; made on first need."""
    volunteer, _ = Volunteer.objects.get_or_create(user=user)
    return volunteer


def volunteer_for_anonymous(token: str) -> Volunteer:
    """The volunteer row of an anonymous session, by the session's secret token; made on first need."""
    volunteer, _ = Volunteer.objects.get_or_create(anonymous_key=_keyed_hash("anonymous", token))
    return volunteer
