"""The settings: one frozen struct from paasd.yaml, PAASD_* variables and options. The only reader of os.environ."""

import difflib
import ipaddress
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from paasd.failpoints import parse_failpoints
from paasd.settings_addons import AddonSettings
from router.table import BACKLOG, WEBSOCKETS, RouteTimeouts

Seconds = Annotated[float, Meta(ge=0)]
Duration = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class SettingsError(ValueError):
    """The settings can't be used; the message says which, and what would be right."""


class BuildSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds a build may take; builds at once, over all apps; bytes a push may bring; memory and processes of a build;
    processors of all (null: no bound).

    `cache_mb` is what an app's builds may keep for the next before it is emptied.
    With `strict` an app that asks for a version of its language that no stack has is refused, not built on the nearest.
    """

    timeout: Duration = 900.0
    parallel: Count = 2
    max_push_bytes: Count = 500_000_000
    memory_mb: Annotated[int, Meta(ge=6)] = 2048
    strict: bool = False
    cache_mb: Count = 2000
    pids: Count = 1024
    cpus: Duration | None = None


class StackSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Images of this machine by the name of one that Dockerfiles stand on and that can't be had here."""

    aliases: Mapping[str, str] = {}


class DynoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of each dyno, the port it is told to bind, and the seconds it has to do so."""

    memory_mb: Annotated[int, Meta(ge=6)] = 512  # Docker's own minimum
    cpus: Duration | None = None
    pids: Count = 256
    open_files: Count = 16384
    port: Annotated[int, Meta(ge=1, le=65535)] = 5000
    boot_timeout: Duration = 60.0


class SizeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dyno's memory and CPUs (none: no bound) in one size."""

    memory_mb: Annotated[int, Meta(ge=6)]
    cpus: Duration | None = None


SizeName = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9-]{0,30}$")]
SIZES: Mapping[str, SizeSettings] = {  # Heroku's, but for their share of processors
    "Standard-2X": SizeSettings(1024),
    "Performance-M": SizeSettings(2560),
    "Performance-L": SizeSettings(14336),
}


class DeploySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds: requests in flight on old dynos (or an old router), then SIGTERM to SIGKILL, then a write's wait.

    `websocket_drain` is what websockets get in place of `drain`.

    With `queue` every push waits for the one to its app that is under way, as `git push -o queue` does.
    """

    drain: Seconds = 30.0
    websocket_drain: Seconds = 30.0
    grace: Seconds = 30.0
    wait: Seconds = 50.0
    queue: bool = False


class AppTimeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Those of one app; what is left out is as for all apps."""

    connect: Duration | None = None
    first_byte: Duration | None = None
    idle: Duration | None = None
    park: Seconds | None = None


class TimeoutSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds the router gives an app: to connect, to the first byte, of silence after it, for a dyno that starts.

    `apps` has an app's own, by its name.
    """

    connect: Duration = 5.0
    first_byte: Duration = 30.0
    idle: Duration = 55.0
    park: Seconds = 10.0
    apps: dict[str, AppTimeouts] = {}

    def of(self, app: str) -> RouteTimeouts | None:
        """An app's, by its name; None where they are the router's own."""
        own = self.apps.get(app, AppTimeouts())
        wanted = RouteTimeouts(
            connect=self.connect if own.connect is None else own.connect,
            first_byte=self.first_byte if own.first_byte is None else own.first_byte,
            idle=self.idle if own.idle is None else own.idle,
            park=self.park if own.park is None else own.park,
        )
        return None if wanted == RouteTimeouts() else wanted


class TrafficSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of each worker of the router: how many requests a dyno (H11) and websockets an app (H22) may have under way."""

    backlog: Count = BACKLOG
    websockets: Count = WEBSOCKETS


class DiskSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Percent at which it is said and cleared up, and at which builds are refused; what a build needs; what is kept."""

    high: Annotated[int, Meta(ge=1, le=100)] = 80
    full: Annotated[int, Meta(ge=1, le=100)] = 90
    build_mb: Annotated[int, Meta(ge=0)] = 256
    build_inodes: Annotated[int, Meta(ge=0)] = 2000
    keep_releases: Count = 20
    keep_output_days: Count = 90


class LogsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of each app's log: megabytes and days that are kept; lines a second beyond which some are lost."""

    max_mb: Count = 100
    days: Duration = 7.0
    lines_per_second: Count = 5000

    @property
    def max_bytes(self) -> int:
        """The megabytes in bytes."""
        return self.max_mb * 1024 * 1024


class DockerSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The engine's URL (none: Docker's own rules) and the addresses that apps' networks are cut from."""

    host: str | None = None
    subnet_pool: str = "10.213.0.0/16"
    subnet_prefix: Annotated[int, Meta(ge=8, le=29)] = 26


class WebSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Networks, private ones too, that URLs given by users may lead to: ["10.1.0.0/16"]. Public ones always may."""

    allow_private: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set. `search_path` is where programs (git) are looked for; `failpoints` is for tests."""

    home: Path
    search_path: str
    failpoints: str = ""
    api: str = "127.0.0.1:5500"
    router: str = "127.0.0.1:8080"
    router_dir: Path | None = None
    router_supervised: bool = False
    router_workers: Annotated[int, Meta(ge=0, le=256)] = 1  # processes that serve apps; 0: one a core
    engine: Literal["auto", "docker", "process"] = "auto"
    public_url: str | None = None  # how clients reach the API: "https://paas.example.org"; None: at `api`
    domain: str = "localhost"
    owner: str = "owner@localhost"
    log: Literal["console", "json"] = "console"
    backups: Annotated[int, Meta(ge=0)] = 7  # daily ones that are kept in the home; 0: none are taken
    attach: Literal["rendezvous", "ssh"] = "rendezvous"  # how `heroku run` reaches a dyno
    insecure_http: bool = False  # serve the API and apps beyond this machine without TLS
    rate_limit: Count = 4500  # calls an hour that a token has, as on Heroku
    guess_limit: Count = 20  # wrong tokens and passwords a minute that are heard from one address
    build: BuildSettings = BuildSettings()
    stacks: StackSettings = StackSettings()
    dynos: DynoSettings = DynoSettings()
    # beside Standard-1X, which is as `dynos` says
    sizes: Mapping[SizeName, SizeSettings] = msgspec.field(default_factory=lambda: dict(SIZES))
    deploy: DeploySettings = DeploySettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    traffic: TrafficSettings = TrafficSettings()
    disk: DiskSettings = DiskSettings()
    logs: LogsSettings = LogsSettings()
    docker: DockerSection = DockerSection()
    web: WebSettings = WebSettings()
    addons: AddonSettings = AddonSettings()

    @property
    def router_directory(self) -> Path:
        """Beside the home unless set: the router's folder is not the daemon's."""
        return self.router_dir or self.home.parent / f"{self.home.name}-router"

    @property
    def api_url(self) -> str:
        """What clients reach the API by, without a slash at its end."""
        return (self.public_url or f"http://{self.api}").rstrip("/")


ENVIRONMENT_ONLY = ("search_path", "failpoints")
ENVIRONMENT = (
    "home",
    "api",
    "public_url",
    "router",
    "router_dir",
    "router_supervised",
    "engine",
    "domain",
    "owner",
    "log",
)


def load(options: Mapping[str, Any], config: Path | None) -> Settings:
    """Options win over PAASD_* variables, those over the file. Raises SettingsError."""
    values: dict[str, Any] = read_file(config) if config is not None else {}
    for name in ENVIRONMENT:
        value = os.environ.get(f"PAASD_{name.upper()}")
        if value:
            values[name] = value
    values.update({name: value for name, value in options.items() if value is not None})
    values["home"] = values.get("home") or "~/.paasd"
    for name in ("home", "router_dir"):
        if isinstance(values.get(name), str):
            values[name] = Path(values[name]).expanduser().absolute()
    values["search_path"] = os.environ.get("PATH") or os.defpath
    values["failpoints"] = os.environ.get("PAASD_FAILPOINTS", "")
    try:
        parse_failpoints(values["failpoints"])
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"A setting can't be used: {error}.") from error
    except ValueError as error:
        raise SettingsError(str(error)) from error
    _check_pool(settings.docker)
    _check_networks(settings.web)
    _check_sizes(settings)
    for name in ("api", "router"):
        host, _ = parse_address(getattr(settings, name), name)
        if not settings.insecure_http and not is_loopback(host):
            raise SettingsError(
                f"The setting {name} would listen on {host}, where others could read tokens and traffic: "
                "use 127.0.0.1, or set insecure_http: true if a network you trust is all that can reach it."
            )
    _check_public_url(settings)
    return settings


def read_file(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises SettingsError."""
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} can't be read ({error.strerror}); check --config.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise SettingsError(f"{path} must hold settings as `name: value` lines.")
    _check_names(document, Settings, "", but=ENVIRONMENT_ONLY)
    return document


def parse_address(text: str, name: str) -> tuple[str, int]:
    """("127.0.0.1", 5500) from "127.0.0.1:5500". Raises SettingsError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"The setting {name} is {text!r}; write HOST:PORT, such as 127.0.0.1:5500.")
    return host.strip("[]"), int(port)


def host_of(url: str) -> str:
    """The host name in a URL that was checked."""
    return urlsplit(url).hostname or ""


def is_wildcard(host: str) -> bool:
    """Whether the address means all of this machine's addresses."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_public_url(settings: Settings) -> None:
    host, _ = parse_address(settings.api, "api")
    if settings.public_url is None:
        if is_wildcard(host):
            raise SettingsError(
                f"The setting api listens on {host}, which is no address that clients can use: set public_url to how "
                "they reach it, such as http://paas.example.org:5500."
            )
        return
    try:
        url = urlsplit(settings.public_url)
        whole = url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 80) > 0
    except ValueError:
        whole = False
    if not whole or url.path not in ("", "/") or any((url.query, url.fragment, url.username)):
        raise SettingsError(
            f"The setting public_url is {settings.public_url!r}; write only scheme, host and port, "
            "such as http://paas.example.org:5500."
        )


def _check_pool(docker: DockerSection) -> None:
    try:
        pool = ipaddress.IPv4Network(docker.subnet_pool)
    except ValueError as error:
        raise SettingsError(
            f"The setting docker.subnet_pool can't be used ({error}); write a private network such as 10.213.0.0/16."
        ) from error
    if pool.prefixlen > docker.subnet_prefix:
        raise SettingsError(
            f"The setting docker.subnet_prefix is /{docker.subnet_prefix}, wider than the pool {pool}; "
            "write a larger number, or choose a wider pool."
        )


def _check_sizes(settings: Settings) -> None:
    lower = [name.lower() for name in settings.sizes]
    if "standard-1x" in lower or len(set(lower)) < len(lower):
        raise SettingsError(
            "The setting sizes names a size twice, or Standard-1X: that one is as dynos.memory_mb and dynos.cpus say."
        )


def _check_networks(section: WebSettings) -> None:
    for network in section.allow_private:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise SettingsError(
                f"The setting web.allow_private can't be used ({error}); write networks such as 10.1.0.0/16."
            ) from error


def _check_names(
    values: Mapping[str, Any], kind: type[msgspec.Struct], prefix: str, *, but: Sequence[str] = ()
) -> None:
    fields = {field.name: field.type for field in msgspec.structs.fields(kind) if field.name not in but}
    for name, value in values.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known are {', '.join(sorted(fields))}."
            raise SettingsError(f"Unknown setting {prefix}{name}: {hint}")
        inner = fields[name]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and isinstance(value, dict):
            _check_names(value, inner, f"{prefix}{name}.")
