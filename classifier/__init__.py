"""The instrument: pixels in, probabilities out. No Django, no Celery, no database."""
