"""Makes and fills the database that lies on this dyno's own disk.

The release phase migrates too, but in a container of its own: what it writes to a disk is gone with it. So a web dyno
with SQLite runs the same migrations (the last of them brings the first polls) before it binds its port.
"""

from django.core.management import call_command
from django.db import connection, connections


def prepare_own_database() -> None:
    if connection.vendor == "sqlite":
        call_command("migrate", interactive=False, verbosity=0)
        connections.close_all()  # gunicorn forks after this, and a SQLite connection must not cross a fork
