"""The ceiling: a Django of nothing but one view, which does one SELECT and one INSERT by bare SQL.

No middleware, no session, no ORM, no validation. `granian --interface wsgi tests.benchmarks.bare_django:application`.
"""

from __future__ import annotations

import json

from django.conf import settings

from tests.benchmarks import site_settings

settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    DATABASES=site_settings.DATABASES,
    LOGGING_CONFIG=None,
)

from django.core.wsgi import get_wsgi_application  # noqa: E402 - after the settings
from django.db import connection  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402


def vote(request: HttpRequest) -> HttpResponse:
    """Store an answer, and give the next subject."""
    sent = json.loads(request.body)
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, metadata FROM projects_subject WHERE id > %s ORDER BY id LIMIT 1", [sent["subject"]])
        row = cursor.fetchone() or (0, "{}")
        cursor.execute("INSERT INTO bench_vote (subject_id, answer) VALUES (%s, %s)", [sent["subject"], sent["value"]])
    content = json.dumps({"id": row[0], "metadata": row[1]}).encode()
    # Of a known length: the server need not send it in chunks.
    headers = {"Content-Length": str(len(content))}
    return HttpResponse(content, content_type="application/json", status=201, headers=headers)


urlpatterns = [path("vote", vote)]
application = get_wsgi_application()
