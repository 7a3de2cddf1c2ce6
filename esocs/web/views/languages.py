"""The switch between the pages' languages."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.views.decorators.http import require_POST

from esocs.accounts.languages import is_offered, remember_language
from esocs.accounts.models import User
from esocs.accounts.services import choose_language
from esocs.web.views.people import return_address


@require_POST
def change_language(request: HttpRequest) -> HttpResponse:
    """Remember the visitor's choice, in the account too if there is one, and go back to the page."""
    language = request.POST.get("language", "")
    if not is_offered(language):
        return HttpResponseBadRequest("This language is not offered.", content_type="text/plain")
    if isinstance(request.user, User):
        choose_language(user=request.user, language=language)
    response = HttpResponseRedirect(return_address(request))
    remember_language(response, language)
    return response
