"""The web process: `granian --interface wsgi esocs.config.wsgi:application`. It never imports torch."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "esocs.config.settings")
_django = get_wsgi_application()

from esocs.panoptes.short_way import ShortWayApplication  # noqa: E402 - Django must be set up first

application = ShortWayApplication(_django)
