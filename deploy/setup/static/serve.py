"""Serves the files of an app, by static.json's rules: the server of apps that are files alone. Standard library only.

PORT says where; the root is static.json's `root`, else the first of dist, build, public and the app itself that has an
index.html. Known of static.json: root, clean_urls, routes, redirects, headers, error_page.
"""

import email.utils
import fnmatch
import hashlib
import json
import mimetypes
import os
import re
import shutil
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOTS = ("dist", "build", "public", ".")
NEVER = {"static.json", "app.json", "Procfile", "Aptfile"}
# app.3f2a9c1b.js, index-DiwrgTda.css: a name that changes with what is in it
FINGERPRINT = re.compile(r"[.-](?=[A-Za-z0-9_-]*\d)[A-Za-z0-9_-]{8,}\.[a-z0-9]+$|[.-][0-9a-f]{8,}\.")
TYPES = {
    ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".webp": "image/webp",
    ".woff": "font/woff", ".woff2": "font/woff2", ".svg": "image/svg+xml", ".json": "application/json",
    ".webmanifest": "application/manifest+json", ".map": "application/json", ".ico": "image/vnd.microsoft.icon",
}  # fmt: skip


class Site:
    """A root and its rules."""

    def __init__(self, app: Path) -> None:
        rules = app / "static.json"
        self.tags: dict[Path, str] = {}
        self.rules = json.loads(rules.read_text("utf-8")) if rules.is_file() else {}
        wanted = self.rules.get("root")
        places = [wanted] if wanted else [place for place in ROOTS if (app / place / "index.html").is_file()] or ["."]
        self.root = (app / places[0]).resolve()
        if not self.root.is_dir() or not self.root.is_relative_to(app.resolve()):
            raise SystemExit(f"static.json: root {wanted!r} is no folder of the app; name one, such as dist/.")

    def find(self, path: str) -> Path | None:
        """The file for a URL's path, None when there is none to be seen."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        hidden = any(part == ".." or "\0" in part for part in parts) or any(
            part.startswith(".") and part != ".well-known" for part in parts
        )
        if hidden or (parts and parts[-1] in NEVER):
            return None
        place = self.root.joinpath(*parts)
        candidates = [place / "index.html"] if path.endswith("/") or not parts else [place]
        if self.rules.get("clean_urls") and parts and not path.endswith("/"):
            candidates.append(place.with_name(f"{place.name}.html"))
        for candidate in candidates:
            real = candidate.resolve()
            if real.is_file() and real.is_relative_to(self.root):
                return real
        return None

    def route(self, path: str) -> Path | None:
        """The file that `routes` answers with where none lies."""
        for pattern, target in self.rules.get("routes", {}).items():
            if matches(path, pattern):
                return self.find("/" + str(target).lstrip("/"))
        return None

    def tag(self, file: Path) -> str:
        """By what is in it: an image's files may all have one time. They never change while they are served."""
        if file not in self.tags:
            with file.open("rb") as opened:
                self.tags[file] = f'"{hashlib.file_digest(opened, "sha256").hexdigest()[:32]}"'
        return self.tags[file]

    def headers(self, path: str) -> dict[str, str]:
        """Those that static.json adds."""
        found: dict[str, str] = {}
        for pattern, headers in self.rules.get("headers", {}).items():
            if matches(path, pattern):
                found.update({str(name): str(value) for name, value in headers.items()})
        return found


def matches(path: str, pattern: str) -> bool:
    """/** for everything below, /*.html for names."""
    return fnmatch.fnmatchcase(path, pattern.replace("**", "*"))


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD."""

    protocol_version = "HTTP/1.1"
    server_version = "static"
    sys_version = ""
    timeout = 75
    site: Site

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path, errors="replace")
        redirect = self.site.rules.get("redirects", {}).get(path)
        if redirect is not None:
            self.move(str(redirect["url"]), int(redirect.get("status", 301)))
            return
        file = self.site.find(path)
        if file is None and not path.endswith("/") and self.site.find(f"{path}/") is not None:
            self.move(f"{urlsplit(self.path).path}/", 301)
            return
        file = file or self.site.route(path)
        if file is not None:
            self.send(file, path, HTTPStatus.OK, body=body)
            return
        page = self.site.find("/" + str(self.site.rules.get("error_page", "404.html")).lstrip("/"))
        if page is not None:
            self.send(page, path, HTTPStatus.NOT_FOUND, body=body)
        else:
            self.plain(HTTPStatus.NOT_FOUND, b"Not found\n", body=body)

    def send(self, file: Path, path: str, status: HTTPStatus, *, body: bool) -> None:
        found = file.stat()
        tag = self.site.tag(file)
        headers = {
            "Content-Type": content_type(file),
            "Cache-Control": caching(file) if status is HTTPStatus.OK else "no-cache",
            "ETag": tag,
            "Last-Modified": email.utils.formatdate(found.st_mtime, usegmt=True),
            **self.site.headers(path),
        }
        if status is HTTPStatus.OK and tag in (self.headers.get("If-None-Match") or "").replace("W/", "").split(", "):
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self.lay(headers | {"Content-Length": "0"})
            return
        self.send_response(status)
        self.lay(headers | {"Content-Length": str(found.st_size)})
        if body:
            with file.open("rb") as opened:
                shutil.copyfileobj(opened, self.wfile, 256 * 1024)

    def move(self, url: str, status: int) -> None:
        self.send_response(status)
        self.lay({"Location": url, "Content-Length": "0"})

    def plain(self, status: HTTPStatus, text: bytes, *, body: bool) -> None:
        self.send_response(status)
        self.lay({"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(text))})
        if body:
            self.wfile.write(text)

    def lay(self, headers: dict[str, str]) -> None:
        for name, value in headers.items():
            self.send_header(name, value.replace("\r", " ").replace("\n", " "))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Requests are in the router's log."""


def content_type(file: Path) -> str:
    kind = TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    text = kind.startswith("text/") or kind in ("application/json", "application/manifest+json", "image/svg+xml")
    return f"{kind}; charset=utf-8" if text else kind


def caching(file: Path) -> str:
    if FINGERPRINT.search(file.name):
        return "public, max-age=31536000, immutable"
    return "no-cache" if file.suffix in (".html", "") else "public, max-age=300"


class Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True


def main() -> None:
    app = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    Handler.site = Site(app)
    server = Server(("0.0.0.0", int(os.environ.get("PORT", "5000"))), Handler)  # noqa: S104, TID251 (a dyno's)
    sys.stdout.write(f"serving {Handler.site.root} on port {server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
