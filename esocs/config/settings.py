"""Every setting of esocs, read once from the environment; a wrong value fails loudly at start.

docs/configuration.md lists the variables; docker-compose.yml sets them for production.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import dj_database_url
import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured
from environs import Env

from esocs.config import embedded

# Lets Django's generic classes be written with their model, as the type checker reads them.
django_stubs_ext.monkeypatch()

env = Env()

BASE_DIR = Path(__file__).resolve().parents[2]
VAR = Path(env.str("ESOCS_VAR", str(BASE_DIR / "var")))

DEBUG = env.bool("ESOCS_DEBUG", False)
# The embedded default serves one machine's own browser; a deployment sets its own key, and a check insists.
INSECURE_KEY = "only-for-this-machine"
SECRET_KEY = env.str("ESOCS_SECRET_KEY", INSECURE_KEY)
# Former keys: what they signed or sealed is still believed and opened.
SECRET_KEY_FALLBACKS: list[str] = env.list("ESOCS_SECRET_KEY_FALLBACKS", [])
PUBLIC_URL = env.str("ESOCS_PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = env.list("ESOCS_ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("ESOCS_CSRF_TRUSTED_ORIGINS", [])
# Other sites' pages, such as a Zooniverse classifier of one's own, that may use the API with their visitors' log-ins.
CORS_ALLOWED_ORIGINS: list[str] = env.list("ESOCS_CORS_ORIGINS", [])
CORS_ALLOW_CREDENTIALS = True
CORS_URLS_REGEX = r"^/(?:(api|caesar|oauth|users)/|graphql$)"
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "x-csrf-token",
]
CORS_EXPOSE_HEADERS = ["ETag", "Last-Modified", "Location", "X-CSRF-Param", "X-CSRF-Token", "Idempotency-Replayed"]
CORS_ALLOW_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_vite",
    "corsheaders",
    "oauth2_provider",
    "rest_framework",
    "drf_spectacular",
    "esocs.config.apps.ConfigApp",
    "esocs.jobs",
    "esocs.accounts",
    "esocs.archive",
    "esocs.projects",
    "esocs.machine",
    "esocs.crowd",
    "esocs.training",
    "esocs.community",
    "esocs.releases",
    "esocs.panoptes",
    "esocs.web",
    "esocs.demo",
]

MIDDLEWARE = [
    # One request is so frequent that it passes by most of the others.
    "esocs.panoptes.short_way.ShortWayMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    # Before whatever may answer: a refusal without its headers would tell a page of another site nothing.
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "esocs.config.urls"
WSGI_APPLICATION = "esocs.config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "frontend" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- stores -----------------------------------------------------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", "") or embedded.postgres_url(VAR)
REDIS_URL = env.str("REDIS_URL", "") or embedded.redis_url(VAR)
EMBEDDED = not env.str("DATABASE_URL", "")
if not DATABASE_URL.startswith(("postgresql://", "postgres://")):
    raise ImproperlyConfigured("DATABASE_URL is not a postgresql:// address; esocs knows no other database.")

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **dj_database_url.parse(DATABASE_URL),
        # One connection a thread is kept; a broken one is noticed before a request uses it.
        "CONN_MAX_AGE": env.int("ESOCS_DATABASE_MAX_AGE_S", 300),
        "CONN_HEALTH_CHECKS": not EMBEDDED,
        "TEST": {"NAME": env.str("ESOCS_TEST_DATABASE", "test_esocs")},
    }
}
# Only the calls of esocs/crowd/prepared.py prepare anything. The functions' plans are made once: planning a statement
# anew takes longer than running it, and PostgreSQL would do so for half of them.
PREPARES_STATEMENTS = env.bool("ESOCS_PREPARED_STATEMENTS", True)
DATABASES["default"]["OPTIONS"] = {
    "prepare_threshold": None,
    **({"options": "-c plan_cache_mode=force_generic_plan"} if PREPARES_STATEMENTS else {}),
    **DATABASES["default"].get("OPTIONS", {}),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {
        "BACKEND": "esocs.config.cache.ForgetfulRedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": 2},
    }
}
SESSION_ENGINE = "esocs.accounts.sessions"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 60
# Only JSON of the listed origins may write with the cookie (panoptes.authentication); a form of another site cannot.
SESSION_COOKIE_SAMESITE = "None" if env.bool("ESOCS_CROSS_SITE_COOKIES", False) else "Lax"
SESSION_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SESSION_COOKIE_SECURE else None
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

# --- people -----------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        # By default it looks at Django's own column names, which our people do not have.
        "OPTIONS": {"user_attributes": ("login", "display_name", "credited_name", "email")},
    },
]
LOGIN_URL = "web:log-in"
LOGIN_REDIRECT_URL = "web:home"
LOGOUT_REDIRECT_URL = "web:home"
ACCESS_TOKEN_AGE_S = 2 * 60 * 60
# Programs that people registered, and what renews their tokens. Every recommendation of RFC 9700 is followed.
OAUTH2_PROVIDER = {
    "SCOPES": {
        "public": "Read what is public",
        "user": "Know who you are",
        "project": "Change your projects",
        "classification": "Classify in your name",
    },
    "ACCESS_TOKEN_EXPIRE_SECONDS": ACCESS_TOKEN_AGE_S,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 14 * 24 * 60 * 60,
    # A client whose answer was lost on the way asks again with the token that it still has.
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ACCESS_TOKEN_GENERATOR": "esocs.accounts.applications.make_access_token",
    "OAUTH2_VALIDATOR_CLASS": "esocs.accounts.applications.Validator",
    "PKCE_REQUIRED": True,
    **{
        f"COMPLIANT_BCP_RFC9700_{practice}": True
        for practice in (
            "IMPLICIT_GRANT",
            "PASSWORD_GRANT",
            "PKCE_METHOD",
            "ACCESS_TOKEN_TRANSPORT",
            "AUTHZ_RESPONSE_ISS",
            "TOKEN_STORAGE",
            "REFRESH_TOKEN",
            "REDIRECT_URI_SCHEME",
            "REDIRECT_URI_MATCHING",
            "PKCE_REQUIRED",
        )
    },
}

# --- background work --------------------------------------------------------------------------------------------
# DESIGN §4: the ledger is PostgreSQL, the message carries an id. Redis needs no durability.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A publish must give up quickly: the ledger already holds the job, and the sweeper rings again.
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 2, "socket_timeout": 10, "max_retries": 1}
CELERY_TASK_PUBLISH_RETRY = False
JOB_LEASE_S = env.int("ESOCS_JOB_LEASE_S", 60)
JOB_SWEEP_EVERY_S = env.int("ESOCS_JOB_SWEEP_EVERY_S", 5)
SKILL_REFIT_EVERY_S = env.int("ESOCS_SKILL_REFIT_EVERY_S", 60)
# Of the database, while it indexes the embeddings of a new champion.
INDEX_MEMORY_MB = env.int("ESOCS_INDEX_MEMORY_MB", 1024)

# --- calls to other servers -------------------------------------------------------------------------------------
# Origins that rules, extractors and reducers may call though they are not public or not https.
# For Caesar's sqs reducers; without a key there are none.
SQS_ACCESS_KEY_ID = env.str("ESOCS_SQS_ACCESS_KEY_ID", "")
SQS_SECRET_ACCESS_KEY = env.str("ESOCS_SQS_SECRET_ACCESS_KEY", "")
SQS_REGION = env.str("ESOCS_SQS_REGION", "us-east-1")
OUTBOUND_ALLOWED: list[str] = env.list("ESOCS_OUTBOUND_ALLOWED", [])
for origin in OUTBOUND_ALLOWED:
    if not re.fullmatch(r"https?://[^/@?#\s]+", origin):
        raise ImproperlyConfigured(f"ESOCS_OUTBOUND_ALLOWED: {origin!r} is no origin such as http://127.0.0.1:9000.")

# --- files ------------------------------------------------------------------------------------------------------
MEDIA_ROOT = Path(env.str("ESOCS_MEDIA_ROOT", str(VAR / "media")))
MEDIA_URL = "/media/"
# A picture that a project's people upload; Zooniverse's own programs send at most a megabyte.
UPLOAD_LIMIT_BYTES = env.int("ESOCS_UPLOAD_LIMIT_BYTES", 10 * 1024 * 1024)
SHARD_ROOT = Path(env.str("ESOCS_SHARD_ROOT", str(VAR / "shards")))
WEIGHTS_ROOT = Path(env.str("ESOCS_WEIGHTS_ROOT", str(VAR / "weights")))
EXPORT_ROOT = Path(env.str("ESOCS_EXPORT_ROOT", str(VAR / "exports")))
# nginx serves media in production (docker-compose.yml); the embedded site serves them itself.
SERVE_MEDIA = env.bool("ESOCS_SERVE_MEDIA", EMBEDDED)

STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [path for path in [BASE_DIR / "frontend" / "dist"] if path.exists()]
WHITENOISE_USE_FINDERS = True
# The front end's build puts twelve hex digits of the content into each name: such a file never changes.
WHITENOISE_IMMUTABLE_FILE_TEST = r"^.+\.[0-9a-f]{12}\..+$"
DJANGO_VITE = {"default": {"dev_mode": False, "manifest_path": BASE_DIR / "frontend" / "dist" / "manifest.json"}}

# --- the instrument ---------------------------------------------------------------------------------------------
FITS_CHILDREN = env.int("ESOCS_FITS_CHILDREN", 2)
TORCH_DEVICE = env.str("ESOCS_DEVICE", "auto")  # auto: a GPU where there is one
TORCH_COMPILE = env.bool("ESOCS_TORCH_COMPILE", True)  # on a GPU
TORCH_THREADS = env.int("ESOCS_TORCH_THREADS", 0)  # 0: as many as the machine has cores

# --- programs' door ---------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["esocs.panoptes.authentication.IdentityAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["esocs.panoptes.renderers.PanoptesRenderer"],
    "DEFAULT_PARSER_CLASSES": ["esocs.panoptes.renderers.PanoptesParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "esocs.panoptes.renderers.LenientNegotiation",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "esocs.panoptes.errors.answer_error",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "esocs",
    "DESCRIPTION": "Projects, workflows, subjects, classifications and exports, in Panoptes' dialect.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "POSTPROCESSING_HOOKS": ["esocs.panoptes.schema.add_components"],
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# --- language, time, log ----------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LANGUAGE_COOKIE_NAME = "esocs_language"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("ESOCS_LOG_LEVEL", "WARNING")},
}
TESTING = "pytest" in sys.modules or os.environ.get("PYTEST_VERSION") is not None
