"""Which door answers which address."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views import defaults

from esocs.accounts.languages import in_visitors_language
from esocs.config.site import health, serve_media

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health", health, name="health"),
    path("", include("esocs.panoptes.urls")),
    path("", include("esocs.web.urls")),
]
handler403 = in_visitors_language(defaults.permission_denied)
handler404 = in_visitors_language(defaults.page_not_found)
handler500 = in_visitors_language(defaults.server_error)

if settings.SERVE_MEDIA:
    urlpatterns.insert(0, path("media/<path:path>", serve_media))
