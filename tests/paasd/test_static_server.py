"""The server of static files, as a process: what it serves, and what it never shows."""

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

SERVER = Path(__file__).resolve().parents[2] / "deploy" / "setup" / "static" / "serve.py"
Answer = tuple[int, dict[str, str], bytes]


class Site:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        self.connection.request(method, path, headers={name.replace("_", "-"): one for name, one in headers.items()})
        response = self.connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


@contextmanager
def serving(root: Path, files: Mapping[str, str], rules: Mapping[str, object] | None = None) -> Iterator[Site]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if rules is not None:
        (root / "static.json").write_text(json.dumps(rules))
    server = subprocess.Popen([sys.executable, SERVER], cwd=root, env={"PORT": "0"}, stdout=subprocess.PIPE, text=True)
    with server:
        try:
            assert server.stdout is not None
            site = Site(int(re.findall(r"port (\d+)", server.stdout.readline())[0]))
            with closing(site.connection):
                yield site
        finally:
            server.kill()


FILES = {
    "index.html": "<p>home</p>", "about.html": "<p>about</p>", "docs/index.html": "docs", "app.js": "1", "s.css": "a{}",
    "assets/main-3f2a9c1b7d.js": "2", "a.woff2": "f", "m.webmanifest": "{}", ".env": "SECRET=1", ".git/config": "x",
    "Procfile": "web: x", ".well-known/security.txt": "mail", "secret dir/a b.txt": "blank", "404.html": "lost",
}  # fmt: skip


def test_files_have_their_types_and_caching(tmp_path: Path) -> None:
    with serving(tmp_path, FILES) as site:
        for path, kind, caching in (
            ("/", "text/html; charset=utf-8", "no-cache"),
            ("/app.js", "text/javascript; charset=utf-8", "public, max-age=300"),
            ("/s.css", "text/css; charset=utf-8", "public, max-age=300"),
            ("/assets/main-3f2a9c1b7d.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
            ("/a.woff2", "font/woff2", "public, max-age=300"),
            ("/m.webmanifest", "application/manifest+json; charset=utf-8", "public, max-age=300"),
            ("/secret%20dir/a%20b.txt", "text/plain; charset=utf-8", "public, max-age=300"),
            ("/.well-known/security.txt", "text/plain; charset=utf-8", "public, max-age=300"),
        ):
            status, headers, _ = site.get(path)
            assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, kind, caching), path
        assert site.get("/docs")[:2][1]["Location"] == "/docs/"
        assert site.get("/docs/")[2] == b"docs"
        assert site.get("/app.js", "HEAD")[2] == b""
        assert site.get("/about")[0] == 404


def test_what_did_not_change_is_not_sent_again_and_what_did_is(tmp_path: Path) -> None:
    """Bites: a tag by time and size says 304 to the other file, since an image's files may all have one time."""
    with serving(tmp_path, FILES) as site:
        tag = site.get("/app.js")[1]["ETag"]
        assert site.get("/app.js", If_None_Match=f"W/{tag}")[0] == 304
        assert site.get("/assets/main-3f2a9c1b7d.js", If_None_Match=tag)[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/.env", "/.git/config", "/../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt", "/link.txt", "/Procfile",
     "/static.json", "/a%00b", "//etc/passwd"],
)  # fmt: skip
def test_nothing_but_the_site_is_shown(tmp_path: Path, path: str) -> None:
    """Bites: without the checks of `find`, .env and files outside of the root are served."""
    (tmp_path / "outside.txt").write_text("outside")
    root = tmp_path / "site"
    root.mkdir()
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    with serving(root, FILES, {}) as site:
        status, _, body = site.get(path)
        assert (status, body) == (404, b"lost")


def test_the_rules_of_static_json(tmp_path: Path) -> None:
    rules = {
        "root": "public/",
        "clean_urls": True,
        "routes": {"/app/**": "index.html"},
        "redirects": {"/old": {"url": "/new", "status": 302}},
        "headers": {"/**": {"X-Frame-Options": "DENY"}, "/*.html": {"Cache-Control": "no-store\r\nX-Bad: 1"}},
        "error_page": "errors/lost.html",
    }
    files = {"public/index.html": "home", "public/about.html": "about", "public/errors/lost.html": "gone"}
    with serving(tmp_path, files, rules) as site:
        assert site.get("/about")[2] == b"about"
        assert site.get("/app/some/route")[2] == b"home"
        status, headers, _ = site.get("/old")
        assert (status, headers["Location"]) == (302, "/new")
        status, headers, body = site.get("/about.html")
        assert (headers["X-Frame-Options"], headers["Cache-Control"]) == ("DENY", "no-store  X-Bad: 1")
        status, _, body = site.get("/nowhere")
        assert (status, body) == (404, b"gone")


def test_the_root_is_where_a_build_puts_it(tmp_path: Path) -> None:
    with serving(tmp_path, {"dist/index.html": "built", "index.html": "source"}) as site:
        assert site.get("/")[2] == b"built"


def test_a_root_outside_of_the_app_is_refused(tmp_path: Path) -> None:
    (tmp_path / "static.json").write_text('{"root": "../"}')
    done = subprocess.run([sys.executable, SERVER], cwd=tmp_path, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "is no folder of the app" in done.stderr
