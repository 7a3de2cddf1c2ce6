"""The web process: `granian --interface wsgi esocs.config.wsgi:application`. It never imports torch."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "esocs.config.settings")
application = get_wsgi_application()
