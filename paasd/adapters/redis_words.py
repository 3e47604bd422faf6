"""What is said to a Redis server of an add-on, whoever runs it."""

import hashlib
import secrets

from paasd.domain.errors import ProviderFailed
from paasd.ports import Condition, Order

# All but what would let an app's user look at, or change, the server instead of its data.
RIGHTS = (
    "~* &* +@all -acl -bgrewriteaof -bgsave -cluster -config -debug -failover -migrate -module -psync -replicaof -save "
    "-shutdown -slaveof -sync +config|get"
)
DEFAULT_CLIENTS = 10000
REFUSALS = ("ERR", "NOAUTH", "WRONGPASS", "NOPERM", "LOADING", "MISCONF")


def digest(secret: str) -> str:
    """What Redis keeps of a password."""
    return hashlib.sha256(secret.encode()).hexdigest()


def first_files(order: Order, settings: list[str]) -> dict[str, bytes]:
    """Its users, with digests of their passwords; ours, which nobody else needs to know; and its settings.

    `appendfsync always`: a write that was answered is on disk, whatever is killed or loses its power.
    """
    ours = secrets.token_urlsafe(32)
    users = f"user default on #{digest(order.secret)} {RIGHTS}\nuser paasd on #{digest(ours)} ~* &* +@all\n"
    lines = [
        *settings,
        "protected-mode no",
        "unixsocketperm 700",
        "appendonly yes",
        "appendfsync always",
        "save 3600 1",
        "maxmemory-policy noeviction",
        f"maxmemory {order.plan.memory or 0}",
        f"maxclients {order.plan.connections or DEFAULT_CLIENTS}",
    ]
    return {"users.acl": users.encode(), "ours": ours.encode(), "redis.conf": ("\n".join(lines) + "\n").encode()}


def password_words(secret: str) -> list[str]:
    """From here on only this password lets in."""
    return [f"ACL SETUSER default resetpass #{digest(secret)}", "ACL SAVE"]


def rotate_words(secret: str) -> list[str]:
    """And nobody stays who came by the one before."""
    return [*password_words(secret), *hang_up_words()]


def hang_up_words() -> list[str]:
    """All connections of its user."""
    return ["CLIENT KILL USER default"]


def reset_words() -> list[str]:
    """Its data, and what was loaded into it."""
    return ["FLUSHALL SYNC", "FUNCTION FLUSH SYNC", "SCRIPT FLUSH SYNC"]


def check(said: str) -> None:
    """ProviderFailed where Redis has refused one of the words: redis-cli exits 0 all the same."""
    if refused := [line for line in said.splitlines() if line.startswith(REFUSALS)]:
        raise ProviderFailed(f"Redis refused: {refused[0][:200]}.")


def condition_of(info: str, order: Order) -> Condition:
    """From what INFO says."""
    found = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    bound = order.plan.connections
    facts = {
        "Version": found.get("redis_version", "").strip(),
        "Connections": f"{found.get('connected_clients', '').strip()}{f'/{bound}' if bound else ''}",
        "Persistence": "AOF, each write before it is answered",
        "Maxmemory": found.get("maxmemory_policy", "").strip(),
    }
    return Condition(up=True, facts=facts, used=int(found.get("used_memory", "0")))
