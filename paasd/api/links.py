"""The URLs that resources carry: where an app answers, where its source is, and capability URLs for streams."""

import time
from dataclasses import dataclass, field
from urllib.parse import urlencode

from yarl import URL

from paasd.api import capability
from paasd.domain.app import App
from paasd.services.logs import LogQuery

SIGNATURE = "cap"


@dataclass(frozen=True, slots=True)
class Links:
    """Makes URLs; checks those that were minted here."""

    public_url: str
    domain: str
    router_port: int
    secret: bytes = field(repr=False)
    ssh: bool = False

    def attach(self, secret: str) -> str:
        """Where a client of `heroku run` is to come, over TLS: its scheme says how they talk."""
        url = URL(self.public_url)
        if self.ssh:
            return f"https://{url.host}:{url.port}/attach/{secret}"
        return f"rendezvous://{url.host}:{url.port}/{secret}"

    def web(self, app: App) -> str:
        return f"http://{self.hostname(app)}:{self.router_port}/"

    def hostname(self, app: App) -> str:
        return f"{app.name}.{self.domain}"

    def git(self, app: App) -> str:
        return f"{self.public_url}/{app.name}.git"

    def output(self, app_id: str, kind: str, key: str) -> str:
        """Of a release's or build's output: `kind` is "releases" or "builds", `key` the version or build id."""
        path = output_path(app_id, kind, key)
        return f"{self.public_url}{path}?{urlencode({SIGNATURE: self._mint(path)})}"

    def log(self, app_id: str, account_id: str, query: LogQuery) -> str:
        """Of a log session, for one account."""
        resource = log_resource(app_id, account_id, query)
        return f"{self.public_url}{resource}&{urlencode({SIGNATURE: self._mint(resource)})}"

    def source(self, method: str, key: str) -> str:
        """Of an archive: to PUT it, or to GET it."""
        return f"{self.public_url}/sources/{key}?{urlencode({SIGNATURE: self._mint(source_resource(method, key))})}"

    def dump(self, transfer_id: str) -> str:
        """Of a backup's bytes. By https, whatever we are reached by: the CLI downloads by nothing else."""
        path = dump_path(transfer_id)
        base = str(URL(self.public_url).with_scheme("https")).rstrip("/")
        return f"{base}{path}?{urlencode({SIGNATURE: self._mint(path)})}"

    def dashboard(self, addon_id: str, account_id: str) -> str:
        """An add-on's page, for one account."""
        path = dashboard_path(addon_id, account_id)
        return f"{self.public_url}{path}?{urlencode({SIGNATURE: self._mint(path)})}"

    def dump_of(self, url: str) -> str | None:
        """The backup that this URL, from `dump`, opens; None for any other URL."""
        try:
            given = URL(url)
        except ValueError:
            return None
        transfer_id, signature = given.path.rpartition("/")[2], given.query.get(SIGNATURE, "")
        ours = given.authority == URL(self.public_url).authority and given.path == dump_path(transfer_id)
        return transfer_id if ours and self.opens(dump_path(transfer_id), signature) else None

    def upload_of(self, url: str) -> str | None:
        """The key of the archive that this URL, from `source`, would GET; None for any other URL."""
        if not url.startswith(f"{self.public_url}/sources/"):
            return None
        given = URL(url)
        key, signature = given.path.rpartition("/")[2], given.query.get(SIGNATURE, "")
        return key if self.opens(source_resource("GET", key), signature) else None

    def opens(self, resource: str, signature: str) -> bool:
        """Whether this signature was minted for this resource, and not too long ago."""
        return capability.opens(self.secret, resource, signature, time.time())

    def _mint(self, resource: str) -> str:
        return capability.mint(self.secret, resource, time.time())


def output_path(app_id: str, kind: str, key: str) -> str:
    """The path of an output stream, which is also what its signature signs."""
    return f"/streams/{app_id}/{kind}/{key}"


def dump_path(transfer_id: str) -> str:
    """The path of a backup's bytes, which is also what its signature signs."""
    return f"/dumps/{transfer_id}"


def dashboard_path(addon_id: str, account_id: str) -> str:
    """The path of an add-on's page, which is also what its signature signs."""
    return f"/dashboards/{addon_id}/{account_id}"


def source_resource(method: str, key: str) -> str:
    """What the signature of an archive's URL signs."""
    return f"{method} /sources/{key}"


def log_resource(app_id: str, account_id: str, query: LogQuery) -> str:
    """The path and query of a log stream, which is also what its signature signs."""
    chosen = {
        "account": account_id,
        "lines": "all" if query.lines is None else str(query.lines),
        "tail": str(int(query.tail)),
    }
    optional = {
        "source": query.source,
        "dyno": query.dyno,
        "grep": query.grep,
        "since": query.since.isoformat() if query.since else None,
        "release": None if query.release is None else str(query.release),
    }
    chosen |= {name: value for name, value in optional.items() if value is not None}
    return f"/streams/{app_id}/logs?{urlencode(chosen)}"
