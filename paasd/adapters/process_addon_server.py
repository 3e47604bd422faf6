"""What an add-on's server is on this machine: its programs, its files, the words that start it, and its clients'."""

import os
import pwd
import re
import shutil
import signal
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from paasd.adapters import redis_words
from paasd.adapters.postgres_words import ALLOWED, OF_STATISTICS, STATISTICS, database_of, role_of
from paasd.adapters.self_signed import self_signed
from paasd.domain.addon import Kind
from paasd.domain.errors import ProviderFailed, Unavailable
from paasd.ports import Access, Order

LOOPBACK = "127.0.0.1"
PORTS = range(18_000, 20_000)  # below those that dynos are told
POSTGRESQL = Path("/usr/lib/postgresql")
MEGABYTE = 1024 * 1024
DEFAULT_MEMORY = 512 * MEGABYTE
LEAST_MEMORY = 128 * MEGABYTE
USERS = {Kind.POSTGRESQL: "postgres", Kind.REDIS: "redis"}  # what the OS's packages have made
OWN_USERS = range(960_000_000, 1_960_000_000)
USERS_OF_HOME = 50_000
CLIENTS = 5_000  # at a time, of a provider
PACKAGES = {Kind.POSTGRESQL: "postgresql", Kind.REDIS: "redis-server"}
TOOLS = {Kind.POSTGRESQL: ("psql", "pg_dump", "pg_restore"), Kind.REDIS: ("redis-cli",)}
# PostgreSQL ends at once at SIGINT, in order; at SIGTERM it waits for all who are connected.
STOPS = {Kind.POSTGRESQL: int(signal.SIGINT), Kind.REDIS: int(signal.SIGTERM)}
HBA = f"host all all {LOOPBACK}/32 scram-sha-256\n"


@dataclass(frozen=True, slots=True)
class Programs:
    """Where this machine has them: of PostgreSQL the newest, unless data of another version is there."""

    search_path: str

    def find(self, kind: Kind, name: str, version: str | None = None) -> Path | None:
        """A program's path."""
        if kind is Kind.POSTGRESQL:
            folders = [POSTGRESQL / version / "bin"] if version else _newest_first()
            return next((path for folder in folders if (path := folder / name).exists()), None)
        found = shutil.which(name, path=self.search_path)
        return Path(found) if found is not None else None

    def need(self, kind: Kind, name: str, version: str | None = None) -> str:
        """ProviderFailed, with the package that has it, where it is not."""
        found = self.find(kind, name, version)
        if found is None:
            package = f"postgresql-{version}" if kind is Kind.POSTGRESQL and version else PACKAGES[kind]
            raise ProviderFailed(f"{name} is not on this machine; install it: apt-get install {package}.")
        return str(found)

    def problem(self, kind: Kind) -> str | None:
        """A sentence with the package that is missing."""
        if kind not in PACKAGES:
            return "The provider embedded has PostgreSQL and Redis only."
        server = "postgres" if kind is Kind.POSTGRESQL else "redis-server"
        if self.find(kind, server) is None or (os.geteuid() == 0 and user_of(kind) is None):
            return f"There is no {server} on this machine; install it: apt-get install {PACKAGES[kind]}."
        return None


def _newest_first() -> list[Path]:
    found = [path for path in POSTGRESQL.glob("*/bin") if re.fullmatch(r"\d+", path.parent.name)]
    return sorted(found, key=lambda path: -int(path.parent.name))


def user_of(kind: Kind) -> tuple[int, int] | None:
    """(uid, gid) of the OS's packages for it; None: there is no such user."""
    try:
        entry = pwd.getpwnam(USERS[kind])
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def first_user(home: str) -> int:
    """Of the numbers of users that this home's add-ons have, each its own; they have no names. Dynos' are below."""
    return OWN_USERS.start + int(home, 16) % (len(OWN_USERS) // USERS_OF_HOME) * USERS_OF_HOME


def users_of(home: str) -> range:
    """All numbers of users that this home's add-ons and their clients may have."""
    first = first_user(home)
    return range(first, first + USERS_OF_HOME)


def client_users(home: str, provider: str) -> range:
    """Those that clients of a provider have while they run, each its own: none sees what another knows."""
    last = first_user(home) + USERS_OF_HOME
    return range(last - CLIENTS, last) if provider == "shared" else range(last - 2 * CLIENTS, last - CLIENTS)


def free_port(taken: Collection[int]) -> int:
    """One that nobody listens on and no add-on has. Unavailable when there is none."""
    ports = list(PORTS)
    SystemRandom().shuffle(ports)
    for port in ports:
        if port not in taken:
            with socket.socket() as probe:
                try:
                    probe.bind((LOOPBACK, port))
                except OSError:
                    continue
            return port
    raise Unavailable("No port is free for another add-on; see `ss -ltn` for who listens on 18000 to 19999.")


def memory_of(order: Order) -> int:
    """Bytes that its processes may use. Of Redis the plan's is for data; a copy of it is on disk by a fork."""
    memory = order.plan.memory or DEFAULT_MEMORY
    return max(LEAST_MEMORY, memory) if order.kind is Kind.POSTGRESQL else 2 * memory + 64 * MEGABYTE


def first_files(order: Order, data: Path, port: int) -> dict[str, bytes]:
    """What lies beside its data; of a Redis also `ours`, the password of our own user there."""
    if order.kind is Kind.POSTGRESQL:
        key, certificate = self_signed(order.name)
        return {"hba.conf": HBA.encode(), "server.key": key, "server.crt": certificate}
    settings = [f"bind {LOOPBACK}", f"port {port}", f"dir {data}", f"aclfile {data}/users.acl"]
    return redis_words.first_files(order, settings)


def initdb_words(programs: Programs, data: Path) -> list[str]:
    """Makes data/cluster.new; its superuser's password is in data/ours."""
    words = [programs.need(Kind.POSTGRESQL, "initdb"), "-D", str(data / "cluster.new"), "-U", "postgres"]
    return [*words, f"--pwfile={data}/ours", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"]


def server_words(programs: Programs, order: Order, data: Path, port: int) -> list[str]:
    """What the supervisor runs."""
    if order.kind is Kind.REDIS:
        return [programs.need(Kind.REDIS, "redis-server"), str(data / "redis.conf")]
    version = (data / "cluster" / "PG_VERSION").read_text().strip()
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "hba_file": f"{data}/hba.conf",
        "ssl": "on",
        "ssl_cert_file": f"{data}/server.crt",
        "ssl_key_file": f"{data}/server.key",
        "shared_buffers": f"{memory_of(order) // 4096}kB",
        "max_connections": "510",
        "dynamic_shared_memory_type": "mmap",
        "jit": "off",
        "password_encryption": "scram-sha-256",
        "max_wal_size": "256MB",
        "log_line_prefix": "%m ",
        **dict([ALLOWED]),
    }
    if (POSTGRESQL / version / "lib" / f"{STATISTICS}.so").exists():
        settings |= OF_STATISTICS
    words = [programs.need(Kind.POSTGRESQL, "postgres", version), "-D", str(data / "cluster")]
    return [*words, *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))]


def access(order: Order, port: int) -> Access:
    """For apps on this machine."""
    if order.kind is Kind.REDIS:
        return Access(LOOPBACK, port, "default", "", f"redis://:{order.secret}@{LOOPBACK}:{port}")
    user, database = role_of(order.addon_id), database_of(order.addon_id)
    url = f"postgres://{user}:{order.secret}@{LOOPBACK}:{port}/{database}"
    return Access(LOOPBACK, port, user, database, url)


def environment(order: Order, port: int, ours: str | None = None) -> dict[str, str]:
    """A client's: the apps' user's, or with `ours` its superuser's."""
    if order.kind is Kind.REDIS:
        return {"REDISCLI_AUTH": ours or order.secret, "REDISCLI_HISTFILE": "/dev/null"}
    return {
        "PGHOST": LOOPBACK,
        "PGPORT": str(port),
        "PGUSER": "postgres" if ours else role_of(order.addon_id),
        "PGDATABASE": "postgres" if ours else database_of(order.addon_id),
        "PGPASSWORD": ours or order.secret,
        "PSQL_HISTORY": "/dev/null",
    }


def place_words(name: str, arguments: Sequence[str], port: int) -> list[str]:
    """redis-cli knows no variable for the port; the others do."""
    return ["-h", LOOPBACK, "-p", str(port), *arguments] if name == "redis-cli" else list(arguments)
