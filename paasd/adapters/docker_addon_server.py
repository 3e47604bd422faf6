"""What an add-on's container runs, by kind: how its server starts, whom it lets in, and where its data lies.

The images hold nothing of ours, so that one from a registry does as well as one made of the OS's packages; what is
to be run comes with the container. The server runs as uid 999 in both, and is asked by it over a socket of its own.
"""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from paasd.adapters import redis_words
from paasd.adapters.docker_addon_links import NOWHERE
from paasd.adapters.docker_api import DockerSettings
from paasd.adapters.postgres_words import ALLOWED, OF_STATISTICS, STATISTICS
from paasd.adapters.self_signed import self_signed
from paasd.domain.addon import Kind
from paasd.ports import Order

SERVER_USER = "999:999"
TOOL_USER = "65534:65534"  # nobody: what a tool is told to run must not be taken for the server's own user
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MEGABYTE = 1024 * 1024
LEAST_MEMORY = 128 * MEGABYTE
PIDS = 600
SHARED_MEMORY = 256 * MEGABYTE
SECOND = 1_000_000_000  # of the engine, which counts nanoseconds

# Data becomes the server's by a rename, once all of it is there: a start that was killed half way begins anew.
START_POSTGRESQL = r"""umask 077; cd "$DATA"
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
if [ ! -d cluster ]; then
  rm -rf cluster.new
  "$bin/initdb" -D cluster.new -U postgres -A peer -E UTF8 --locale=C.UTF-8 --no-instructions >/dev/null
  mv cluster.new cluster; sync .
fi
bin=/usr/lib/postgresql/$(cat cluster/PG_VERSION)/bin
limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes || echo max)
case $limit in max|?????????????*) limit=536870912 ;; esac
if [ -e "${bin%/bin}/lib/<statistics>.so" ]; then set -- <of statistics>; fi
exec "$bin/postgres" -D cluster "$@" -c "shared_buffers=$((limit / 4096))kB" -c hba_file="$DATA/hba.conf" \
  -c ssl=on -c ssl_cert_file="$DATA/server.crt" -c ssl_key_file="$DATA/server.key" \
  -c listen_addresses='*' -c unix_socket_directories=/run/postgresql -c max_connections=510 -c jit=off \
  -c password_encryption=scram-sha-256 -c max_wal_size=256MB -c logging_collector=off -c log_line_prefix='%m ' \
  -c <allowed>
""".replace("<allowed>", "=".join(ALLOWED))
START_POSTGRESQL = START_POSTGRESQL.replace("<statistics>", STATISTICS).replace(
    "<of statistics>", " ".join(f"-c {name}={value}" for name, value in OF_STATISTICS.items())
)
START_REDIS = r"""umask 077; cd "$DATA"
exec redis-server "$DATA/redis.conf"
"""
# Peer: the server's own user in this container, which no tool is run as. Nobody is the superuser over the network.
HBA = """local all postgres peer
local all all scram-sha-256
host all postgres all reject
host all all all scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Server:
    """How servers of a kind are run. `data` is where its volume is mounted; `socket` where it is asked."""

    image: str
    port: int
    data: str
    start: str
    healthy: tuple[str, ...]
    stop: str  # the signal that has it end in order
    path: str
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    open_files: int = 4096


SERVERS: Mapping[Kind, Server] = {
    Kind.POSTGRESQL: Server(
        image="paasd/postgresql:15",
        port=5432,
        data="/var/lib/postgresql/data",
        start=START_POSTGRESQL,
        healthy=("pg_isready", "-q", "-h", "/run/postgresql"),
        stop="SIGINT",
        path=f"/usr/lib/postgresql/15/bin:{PATH}",  # before Debian's wrappers, which are Perl
        tmpfs={"/run/postgresql": "uid=999,gid=999,mode=0755,size=1m"},
        tools=("psql", "pg_dump", "pg_restore"),
    ),
    Kind.REDIS: Server(
        image="paasd/redis:7",
        port=6379,
        data="/data",
        start=START_REDIS,
        healthy=("redis-cli", "-s", "/run/redis/redis.sock", "ping"),
        stop="SIGTERM",
        path=PATH,
        tmpfs={"/run/redis": "uid=999,gid=999,mode=0755,size=1m"},
        tools=("redis-cli",),
        open_files=10064,  # a client each, beside its own
    ),
}


def memory_limit(order: Order) -> int | None:
    """Bytes that the container may use. Of Redis the plan's memory is for data; a copy of it is on disk by a fork."""
    memory = order.plan.memory
    if memory is None:
        return None
    return max(LEAST_MEMORY, memory) if order.kind is Kind.POSTGRESQL else 2 * memory + 64 * MEGABYTE


def first_files(order: Order) -> bytes:
    """What must lie in its volume before the server starts: a tar, of files that only the server's user may read."""
    if order.kind is Kind.POSTGRESQL:
        key, certificate = self_signed(order.name)
        return pack({"hba.conf": HBA.encode(), "server.key": key, "server.crt": certificate})
    settings = ["bind * -::*", "port 6379", "dir /data", "aclfile /data/users.acl"]
    return pack(redis_words.first_files(order, [*settings, "unixsocket /run/redis/redis.sock"]))


def addon_body(
    order: Order, volume: str, labels: Mapping[str, str], networks: Mapping[str, Any], settings: DockerSettings
) -> dict[str, Any]:
    """The body of POST /containers/create. `networks` has one at most: its name, and what it is to be there."""
    server = SERVERS[order.kind]
    memory = memory_limit(order)
    files = server.open_files
    host: dict[str, Any] = {
        "NetworkMode": next(iter(networks), NOWHERE),
        "Binds": [f"{volume}:{server.data}"],
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": "size=64m,mode=1777", **server.tmpfs},  # noqa: S108 (the container's own)
        "ShmSize": SHARED_MEMORY,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "PidsLimit": PIDS,
        "Ulimits": [{"Name": "nofile", "Soft": files, "Hard": files}, {"Name": "core", "Soft": 0, "Hard": 0}],
        "Init": True,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": settings.log_max_size, "max-file": str(settings.log_max_files)},
        },
    }
    if memory is not None:
        host |= {"Memory": memory, "MemorySwap": memory}  # equal: no swap
    return {
        "Image": server.image,
        "Hostname": order.name[:63],
        "User": SERVER_USER,
        "Env": [f"PATH={server.path}", f"DATA={server.data}", "LANG=C.UTF-8"],
        "Entrypoint": ["/bin/sh", "-ec"],
        "Cmd": [server.start],
        "WorkingDir": "/",
        "Labels": dict(labels),
        "StopSignal": server.stop,
        "Healthcheck": {
            "Test": ["CMD", *server.healthy],
            "Interval": 30 * SECOND,
            "Timeout": 5 * SECOND,
            "Retries": 3,
            "StartPeriod": 60 * SECOND,
        },
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": dict(networks)},
    }


def pack(files: Mapping[str, bytes]) -> bytes:
    """A tar of them, the server's user's own."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid, member.gid = len(content), 0o600, 999, 999
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()
