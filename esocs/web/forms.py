"""The forms of the pages. What a login and a password may be is decided by `accounts.services.sign_up`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from esocs.accounts.models import User
from esocs.accounts.throttling import TooManyAttemptsError, try_password

NEW_PASSWORD = forms.PasswordInput(attrs={"autocomplete": "new-password", "minlength": "8"})


class DescribedForm(forms.Form):
    """Ties each field to its help and its errors, so that screen readers say them."""

    def describe(self) -> None:
        for name, field in self.fields.items():
            described = [f"{name}-help"] if field.help_text else []
            if self.is_bound and name in self.errors:
                described.append(f"{name}-errors")
                field.widget.attrs["aria-invalid"] = "true"
            if described:
                field.widget.attrs["aria-describedby"] = " ".join(described)


class SignUpForm(DescribedForm):
    """A new account: a name and a password are all it takes."""

    login = forms.CharField(
        max_length=60,
        label=_("User name"),
        help_text=_("Shown beside your answers in exports. Letters, digits and @ . + - _"),
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = forms.CharField(label=_("Password"), help_text=_("At least 8 characters."), widget=NEW_PASSWORD)
    email = forms.EmailField(
        required=False,
        label=_("E-mail"),
        help_text=_("Only for your account; never shown."),
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    credited_name = forms.CharField(
        required=False,
        max_length=120,
        label=_("Name for credits"),
        help_text=_("Named in published catalogues you helped to make. Leave it empty to stay unnamed."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )


class AccountForm(DescribedForm):
    """How a person is called and reached."""

    display_name = forms.CharField(
        required=False, max_length=120, label=_("Name on pages"), help_text=_("Empty: your user name.")
    )
    credited_name = forms.CharField(
        required=False,
        max_length=120,
        label=_("Name for credits"),
        help_text=_("Named in published catalogues you helped to make. Leave it empty to stay unnamed."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    email = forms.EmailField(
        required=False,
        label=_("E-mail"),
        help_text=_("Only for your account; never shown."),
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )


class PasswordForm(DescribedForm):
    """Another password."""

    old_password = forms.CharField(
        label=_("Present password"), widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    password = forms.CharField(label=_("New password"), help_text=_("At least 8 characters."), widget=NEW_PASSWORD)


class EraseForm(DescribedForm):
    """The password, so that nobody erases an account that was left open."""

    password = forms.CharField(
        label=_("Your password"), widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )


class CollectionForm(DescribedForm):
    """A collection's name, and who may see it."""

    display_name = forms.CharField(max_length=200, label=_("Name"))
    description = forms.CharField(
        required=False, max_length=2_000, label=_("What it is about"), widget=forms.Textarea(attrs={"rows": 3})
    )
    private = forms.BooleanField(required=False, label=_("Only I may see it"))


class LogInForm(DescribedForm):
    """Logins are found whatever their case."""

    login = forms.CharField(
        max_length=60,
        label=_("User name"),
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = forms.CharField(
        label=_("Password"), widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    user: User | None = None

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                user = try_password(self.request, login=cleaned["login"], password=cleaned["password"])
            except TooManyAttemptsError as error:
                raise forms.ValidationError(_("That failed too often. Please wait for a minute.")) from error
            if user is None:
                raise forms.ValidationError(_("This user name and password do not belong together."))
            self.user = user
        return cleaned
