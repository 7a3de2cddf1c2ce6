"""A person's own account: names, password, everything that is kept of them, and its erasure."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import logout as end_session
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse, reverse_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from classifier.errors import EsocsError
from esocs.accounts.models import User
from esocs.accounts.services import change_account, change_password
from esocs.community.erasure import erase_account
from esocs.community.personal_data import write_personal_data
from esocs.web.forms import AccountForm, EraseForm, PasswordForm

LOG_IN = reverse_lazy("web:log-in")


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


@sensitive_post_parameters("old_password", "password")
@never_cache
@login_required(login_url=LOG_IN)
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Names and password. Two forms on one page; `form` says which was sent."""
    user = _user(request)
    sent = request.POST.get("form") if request.method == "POST" else None
    initial = {"display_name": user.display_name, "credited_name": user.credited_name, "email": user.email}
    names = AccountForm(request.POST if sent == "names" else None, initial=initial)
    password = PasswordForm(request.POST if sent == "password" else None)
    if sent == "names" and names.is_valid():
        change_account(user=user, **names.cleaned_data)
        messages.success(request, _("Your account was changed."))
        return HttpResponseRedirect(reverse("web:account"))
    if sent == "password" and password.is_valid():
        try:
            change_password(user=user, old=password.cleaned_data["old_password"], new=password.cleaned_data["password"])
        except EsocsError as error:
            password.add_error(None, f"{error.message} {error.hint}".strip())
        else:
            update_session_auth_hash(request, user)
            messages.success(request, _("Your password was changed."))
            return HttpResponseRedirect(reverse("web:account"))
    for form in (names, password):
        form.describe()
    failed = names.errors or password.errors
    return render(request, "web/account.html", {"names": names, "password": password}, status=422 if failed else 200)


@never_cache
@login_required(login_url=LOG_IN)
@require_safe
def data(request: HttpRequest) -> HttpResponseBase:
    """Everything that is kept of the asker, as a JSON file."""
    user = _user(request)
    response = StreamingHttpResponse(write_personal_data(user), content_type="application/json; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="my-esocs-data.json"'
    return response


@sensitive_post_parameters("password")
@never_cache
@login_required(login_url=LOG_IN)
@require_http_methods(["GET", "HEAD", "POST"])
def erase(request: HttpRequest) -> HttpResponse:
    """What erasing means, and a form that asks for the password."""
    form = EraseForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            erase_account(user=_user(request), password=form.cleaned_data["password"])
        except EsocsError as error:
            form.add_error(None, f"{error.message} {error.hint}".strip())
            status = error.status
        else:
            end_session(request)
            messages.success(request, _("Your account is erased. Thank you for everything you looked at."))
            return HttpResponseRedirect(reverse("web:home"))
    form.describe()
    return render(request, "web/erase.html", {"form": form}, status=422 if form.errors and status == 200 else status)
