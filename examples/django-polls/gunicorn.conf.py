"""How gunicorn serves this app; it reads this file by itself."""

import os

# The platform gives each dyno its port; 127.0.0.1 would be out of the router's reach.
bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"

# Loaded once, before the port is bound: a dyno that accepts connections is a dyno that can answer them.
preload_app = True
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 4

# Longer than the router keeps an idle connection, so that it is never the app that hangs up first.
keepalive = 90
# Shorter than the 30 s between SIGTERM and SIGKILL.
graceful_timeout = 25

# Heartbeat files in memory: a slow disk must not look like a hung worker.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# The router logs every request already.
accesslog = None
# Nobody here speaks to it, and a dyno's home may be read-only.
control_socket_disable = True
