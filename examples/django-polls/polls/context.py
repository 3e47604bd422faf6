"""What every page knows of the release it is served by, from the dyno's metadata and config vars."""

import os

from django.http import HttpRequest


def release(request: HttpRequest) -> dict[str, str]:
    commit = os.environ.get("HEROKU_SLUG_COMMIT", "")
    return {
        "app_name": os.environ.get("HEROKU_APP_NAME", "polls"),
        "release_version": os.environ.get("HEROKU_RELEASE_VERSION", "local"),
        "release_commit": commit[:8] or "uncommitted",
        "release_created_at": os.environ.get("HEROKU_RELEASE_CREATED_AT", "just now"),
        "dyno": os.environ.get("DYNO", "this machine"),
        "greeting": os.environ.get("GREETING", "Hello from your own platform"),
    }
