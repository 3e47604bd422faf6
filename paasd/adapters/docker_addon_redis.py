"""A Redis in a container, spoken to as a user of ours, whose password lies in its volume and leaves it never."""

from paasd.adapters.docker_addon_server import SERVER_USER
from paasd.adapters.docker_api import DockerApi
from paasd.adapters.docker_shells import run_exec
from paasd.adapters.redis_words import check, condition_of, hang_up_words, reset_words, rotate_words
from paasd.domain.errors import ProviderFailed
from paasd.ports import Access, Condition, Order

SOCKET = "/run/redis/redis.sock"
CLI = f"REDISCLI_AUTH=$(cat /data/ours) exec redis-cli -s {SOCKET} --user paasd --no-auth-warning"
READY = f"until redis-cli -s {SOCKET} ping >/dev/null 2>&1; do sleep 0.02; done; {CLI}"


class RedisServer:
    """What is asked of one, by its container."""

    def __init__(self, api: DockerApi) -> None:
        self._api = api

    def access(self, order: Order, host: str) -> Access:
        """At that address. The user is Redis's `default`, which clients without a user's name are."""
        return Access(host, 6379, "default", "", f"redis://:{order.secret}@{host}:6379")

    def environment(self, order: Order) -> dict[str, str]:
        """For a client beside the server."""
        return {"REDISCLI_AUTH": order.secret, "REDISCLI_HISTFILE": "/dev/null", "HOME": "/tmp"}  # noqa: S108

    async def settle(self, container: str, order: Order) -> None:
        """Waits until it has read its data; then the password is in force."""
        await self._ask(container, ["PING"], READY)
        if await self._loading(container):
            raise ProviderFailed(f"{order.name} is still reading its data.")

    async def rotate(self, container: str, order: Order) -> None:
        """The password, then the connections of the one before."""
        await self._ask(container, rotate_words(order.secret))

    async def hang_up(self, container: str, order: Order) -> None:  # noqa: ARG002
        """Of its user."""
        await self._ask(container, hang_up_words())

    async def reset(self, container: str, order: Order) -> None:  # noqa: ARG002
        """All databases."""
        await self._ask(container, reset_words())

    async def condition(self, container: str, order: Order) -> Condition:
        """From INFO."""
        return condition_of(await self._ask(container, ["INFO"]), order)

    async def _loading(self, container: str) -> bool:
        return "loading:1" in await self._ask(container, ["INFO persistence"])

    async def _ask(self, container: str, words: list[str], how: str = CLI) -> str:
        said = await run_exec(self._api, container, ["sh", "-ec", how], "\n".join(words) + "\n", user=SERVER_USER)
        check(said)
        return said
