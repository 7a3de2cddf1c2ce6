"""Sign-up, log-in, log-out. What an anonymous session classified becomes the new account's."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login as start_session
from django.contrib.auth import logout as end_session
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from classifier.errors import EsocsError
from esocs.accounts.identity import ANONYMOUS_TOKEN
from esocs.accounts.languages import is_offered, remember_language
from esocs.accounts.services import choose_language
from esocs.accounts.services import sign_up as create_account
from esocs.web.forms import LogInForm, SignUpForm

BACKEND = "django.contrib.auth.backends.ModelBackend"


def return_address(request: HttpRequest) -> str:
    """Where the visitor came from, if it is a page of this site."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return resolve_url(settings.LOGIN_REDIRECT_URL)


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """A form for a new account; on success the visitor is logged in."""
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        token = request.session.get(ANONYMOUS_TOKEN)
        try:
            user = create_account(**form.cleaned_data, anonymous_token=token)
        except EsocsError as error:
            field = "login" if error.code == "login_taken" else None
            form.add_error(field, f"{error.message} {error.hint}".strip())
        else:
            start_session(request, user, backend=BACKEND)
            if settings.LANGUAGE_COOKIE_NAME in request.COOKIES:
                choose_language(user=user, language=get_language() or settings.LANGUAGE_CODE)
            # The token has done its work: the next anonymous visitor of this browser is somebody else.
            request.session.pop(ANONYMOUS_TOKEN, None)
            messages.success(
                request, _("Welcome, %(name)s. Everything you classified so far is now yours.") % {"name": user}
            )
            return HttpResponseRedirect(return_address(request))
    form.describe()
    context = {"form": form, "next": return_address(request)}
    return render(request, "web/sign_up.html", context, status=422 if form.errors else 200)


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """A form for the login and the password."""
    form = LogInForm(request.POST or None, request=request)
    if request.method == "POST" and form.is_valid() and form.user is not None:
        start_session(request, form.user)
        request.session.pop(ANONYMOUS_TOKEN, None)
        response = HttpResponseRedirect(return_address(request))
        if is_offered(form.user.language):
            remember_language(response, form.user.language)
        return response
    form.describe()
    context = {"form": form, "next": return_address(request)}
    return render(request, "web/log_in.html", context, status=422 if form.errors else 200)


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """End the session. A link must not be able to do this, so it is a POST."""
    end_session(request)
    messages.info(request, _("You are logged out."))
    return HttpResponseRedirect(reverse("web:home"))


@never_cache
@require_safe
def renew_csrf(request: HttpRequest) -> HttpResponse:
    """Sets the CSRF cookie anew: a page that was open when the log-in changed asks for it."""
    get_token(request)
    return HttpResponse(status=204)
