"""Says at once, and once, that a release came to nothing as soon as it was served, and which one to go back to.

It is not taken back by itself: what the release command has done to a database is not undone by older code.
"""

from collections.abc import Collection
from datetime import UTC, datetime

import structlog

from paasd.domain.app import App
from paasd.domain.release import Release
from paasd.ports import Store
from paasd.services.logs import AppLogs

log = structlog.get_logger(__name__)

WINDOW_SECONDS = 60.0


class CrashAlarm:
    """For releases all of whose web dynos ended within `window` seconds of being served."""

    def __init__(self, store: Store, logs: AppLogs, window: float = WINDOW_SECONDS) -> None:
        self._store = store
        self._logs = logs
        self._window = window
        self._told: dict[str, str] = {}  # by app: the release that was told of

    async def look(self, app: App, release: Release, web: Collection[str], crashed: Collection[str]) -> None:
        """After a crash. `web` are the names of the web dynos that are wanted, `crashed` of those that have ended."""
        age = (datetime.now(UTC) - release.updated_at).total_seconds()
        if not web or not set(web) <= set(crashed) or age > self._window or self._told.get(app.id) == release.id:
            return
        self._told[app.id] = release.id
        before = await self._store.releases(app.id, newest_first=True, limit=1, after=release.version, eligible=True)
        remedy = f"; `heroku rollback v{before[0].version}` brings back what was served before" if before else ""
        text = (
            f"Release v{release.version} crashed: each of its web dynos ended within {self._window:g} seconds{remedy}."
        )
        self._logs.note(app.id, "api", text, release=release.version)
        log.warning(
            "release crashed", app=app.name, version=release.version, before=before[0].version if before else None
        )
