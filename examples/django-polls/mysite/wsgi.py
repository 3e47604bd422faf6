"""What gunicorn serves: `gunicorn mysite.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")

application = get_wsgi_application()

from mysite.bootstrap import prepare_own_database  # noqa: E402  # Django must be set up first

prepare_own_database()
