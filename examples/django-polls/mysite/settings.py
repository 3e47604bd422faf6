"""Settings of the polls example. Whatever differs between places comes from config vars."""

import os
import tempfile
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.management.utils import get_random_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent


def words(name: str) -> list[str]:
    """A config var that holds a list: `a.example,b.example`."""
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


DEBUG = os.environ.get("DEBUG", "") == "1"

# Without SECRET_KEY each boot makes its own: good enough for one dyno, but logins end with it. Two dynos need to share
# one: `heroku config:set SECRET_KEY=$(openssl rand -hex 32)`.
SECRET_KEY = os.environ.get("SECRET_KEY") or get_random_secret_key()

# NAME.localhost is the platform's address; a domain of your own is added by `heroku config:set ALLOWED_HOSTS=…`.
ALLOWED_HOSTS = [".localhost", "127.0.0.1", "[::1]", *words("ALLOWED_HOSTS")]
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")
# The router says whether the browser came by https, and lets nobody else say so.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

INSTALLED_APPS = [
    "polls",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "mysite.urls"
WSGI_APPLICATION = "mysite.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "polls.context.release",
            ],
        },
    },
]


def own_disk() -> Path:
    """Where this dyno may write: the app's directory, or the temporary one if that is read-only."""
    return BASE_DIR if os.access(BASE_DIR, os.W_OK) else Path(tempfile.gettempdir())


def postgresql(url: str) -> dict[str, object]:
    """What DATABASE_URL says: postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=require."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or 5432,
        "OPTIONS": dict(parse_qsl(parts.query)),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,  # a new password ends the connections made with the old one
    }


# `heroku addons:create heroku-postgresql:mini` sets DATABASE_URL. Without it a dyno's own disk has to do: votes kept
# there end with the dyno, which is fine for a first look and wrong for keeps.
DATABASES = {
    "default": postgresql(os.environ["DATABASE_URL"])
    if os.environ.get("DATABASE_URL")
    else {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": own_disk() / "db.sqlite3",
        "OPTIONS": {"timeout": 10, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# Straight from the apps' own directories: no `collectstatic` is needed before the first page.
WHITENOISE_USE_FINDERS = True

# Everything to standard error, where the platform's log takes it up.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "INFO")},
}
