"""People. A `Volunteer` is whoever classifies: a user, or an anonymous browser session that may become one."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.db.models.functions import Lower, Now


class UserManager(BaseUserManager["User"]):
    """Creates users by login."""

    def create_user(self, login: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(login=login, email=self.normalize_email(fields.pop("email", "")), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        """Logins differ by more than their case, so they are found by either."""
        return self.get(login__iexact=username)

    def create_superuser(self, login: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(login, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person with a log-in. Zooniverse's word for the name is `login`."""

    login = models.CharField(max_length=60, unique=True, validators=[UnicodeUsernameValidator()])
    display_name = models.CharField(max_length=120, blank=True)
    credited_name = models.CharField(
        max_length=120, blank=True, help_text="The name to be credited in releases; empty: not named."
    )
    email = models.EmailField(blank=True)
    language = models.CharField(max_length=10, blank=True, help_text="Of the pages; empty: what the browser asks for.")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text="May enter the operator's pages.")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now(), help_text="When the account's own fields last changed.")

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "login"
    EMAIL_FIELD = "email"

    class Meta:
        constraints = [models.UniqueConstraint(Lower("login"), name="user_login_unique")]

    def __str__(self) -> str:
        return self.display_name or self.login


class Volunteer(models.Model):
    """Whoever classifies. Skill, classifications and reservations belong to this row."""

    user = models.OneToOneField(User, null=True, blank=True, on_delete=models.CASCADE, related_name="volunteer")
    anonymous_key = models.CharField(
        max_length=64, null=True, blank=True, unique=True, help_text="Hash of the anonymous session's token."
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(user__isnull=False) | models.Q(anonymous_key__isnull=False),
                name="volunteer_is_someone",
            )
        ]

    def __str__(self) -> str:
        return str(self.user) if self.user else f"not-logged-in-{self.anonymous_key}"
