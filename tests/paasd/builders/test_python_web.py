"""What serves an app that has no Procfile."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from paasd.builders.python_web import collects_static, web_command
from paasd.builders.source import Source


def source(root: Path, files: Mapping[str, str], **config: str) -> Source:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Source(root, "a1", config)


DJANGO = {"manage.py": "", "shop/wsgi.py": "", "shop/settings.py": "STATIC_ROOT = 1\n"}


@pytest.mark.parametrize(
    ("files", "packages", "command"),
    [
        (DJANGO, "django gunicorn", "gunicorn shop.wsgi --bind 0.0.0.0:$PORT"),
        (DJANGO, "django", "python manage.py runserver 0.0.0.0:$PORT --noreload"),
        (
            {"app.py": "import flask\napp = flask.Flask(__name__)\n"},
            "flask gunicorn",
            "gunicorn 'app:app' --bind 0.0.0.0:$PORT",
        ),
        ({"main.py": "api: Flask = Flask('x')\n"}, "flask", "flask --app 'main:api' run --host 0.0.0.0 --port $PORT"),
        (
            {"shop/__init__.py": "def create_app():\n    pass\n"},
            "flask gunicorn",
            "gunicorn 'shop:create_app()' --bind 0.0.0.0:$PORT",
        ),
        ({"wsgi.py": "app = create_app()\n"}, "flask gunicorn", "gunicorn 'wsgi:app' --bind 0.0.0.0:$PORT"),
        ({"main.py": "app = FastAPI(title='x')\n"}, "fastapi uvicorn", "uvicorn main:app --host 0.0.0.0 --port $PORT"),
        ({"main.py": "app = FastAPI()\n"}, "fastapi", "uvicorn main:app --host 0.0.0.0 --port $PORT"),
        ({"main.py": "app = FastAPI()\n"}, "fastapi hypercorn", "hypercorn main:app --bind 0.0.0.0:$PORT"),
        (
            {"app/__init__.py": "", "app/main.py": "web = Starlette()\n"},
            "starlette uvicorn",
            "uvicorn app.main:web --host 0.0.0.0 --port $PORT",
        ),
    ],
)
def test_the_command_by_framework_and_server(
    tmp_path: Path, files: dict[str, str], packages: str, command: str
) -> None:
    found, why = web_command(source(tmp_path, files), frozenset(packages.split()))
    assert found == command
    assert ("made for production" in why) == ("runserver" in command or "flask --app" in command)


@pytest.mark.parametrize(
    ("files", "packages", "words"),
    [
        ({"app.py": "print(1)\n"}, "flask", "`web: gunicorn app:app --bind"),
        ({"main.py": "app = Starlette()\n"}, "starlette", "main:app needs a server: add uvicorn"),
        ({"app.py": "app = Flask(1)\n"}, "", "add a Procfile"),
        ({"app.py": "def f():\n    app = Flask(1)\n"}, "flask", "add a Procfile"),
    ],
)
def test_nothing_known_says_what_to_add(tmp_path: Path, files: dict[str, str], packages: str, words: str) -> None:
    found, advice = web_command(source(tmp_path, files), frozenset(packages.split()))
    assert found is None
    assert words in advice


def test_no_name_of_a_file_meets_a_shell(tmp_path: Path) -> None:
    """Bites: a package folder named `x; id` would be part of the web command."""
    files = {"manage.py": "", "x; id/wsgi.py": "", "$(id)/__init__.py": "app = Flask(1)\n"}
    found, _ = web_command(source(tmp_path, files), frozenset({"django", "gunicorn"}))
    assert found == "python manage.py runserver 0.0.0.0:$PORT --noreload"
    assert web_command(source(tmp_path, {}), frozenset({"flask", "gunicorn"}))[0] is None


def test_static_files_are_collected_where_django_has_a_place_for_them(tmp_path: Path) -> None:
    django = frozenset({"django"})
    assert collects_static(source(tmp_path, DJANGO), django)[0]
    assert collects_static(source(tmp_path, {}, DISABLE_COLLECTSTATIC="0"), django)[0]
    assert collects_static(source(tmp_path, {}, DISABLE_COLLECTSTATIC="1"), django) == (
        *(False, "Static files are not collected: DISABLE_COLLECTSTATIC is set"),
    )
    assert collects_static(source(tmp_path, {}), frozenset()) == (False, "")
    assert (
        "no settings have a STATIC_ROOT"
        in collects_static(source(tmp_path, {"shop/settings.py": "A = 1\n"}), django)[1]
    )
