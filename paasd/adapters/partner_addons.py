"""Add-ons that somebody else has: asked for over HTTPS by version 3 of Heroku's add-on partner API.

The partner's password goes in a header, to nobody but its own URL, and what it says is shown without it.
"""

import asyncio
import base64
import ipaddress
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from paasd.adapters.web_fetch import WebFetch
from paasd.domain.addon import Kind
from paasd.domain.errors import InvalidParams, NotFound, PaasError, ProviderFailed, Unavailable, WebUnavailable
from paasd.domain.partner import CODE, SECONDS, Manifest, issue, read_values
from paasd.ports import Access, Condition, Order, Provided, Shell, Size, WebReply

ANSWER_SECONDS = 30.0
UNDO_SECONDS = 5.0
ANSWER_BYTES = 256 * 1024
RESOURCE_CHARACTERS = 200
MESSAGE_CHARACTERS = 500
REGION = "amazon-web-services::us-east-1"  # what partners know; there is one region here
LATER = frozenset((408, 423, 425, 429))  # beside all of 5xx: the same again may do
GONE = frozenset((404, 410))


class PartnerAddons:
    """The provider of one partner's service. `api_url` is ours, which it finishes add-ons at; `key` signs what it has
    there."""

    def __init__(self, manifest: Manifest, web: WebFetch, api_url: str, key: bytes) -> None:
        self.name = manifest.provider
        self._manifest = manifest
        self._web = web
        self._api_url = api_url
        self._key = key

    async def __aenter__(self) -> "PartnerAddons":
        return self

    async def __aexit__(self, *exc: object) -> None:
        return

    async def problem(self, kind: Kind) -> str | None:
        """Whether its URL may be asked at all. The partner is not asked."""
        if kind is not Kind.PARTNER:
            return f"{self._manifest.name} has add-ons of its own service only; choose another provider."
        try:
            await self._check_way()
        except WebUnavailable:
            return None  # it may be resolved later
        except PaasError as error:
            return error.message
        return None

    async def provision(self, order: Order) -> Provided | None:
        """The same add-on however often it is asked for: partners know them by our ids."""
        body = {
            "callback_url": f"{self._api_url}/addons/{order.addon_id}",
            "name": order.called or order.name,
            "oauth_grant": self._grant(order.addon_id),
            "options": dict(order.options),
            "plan": order.plan.name.partition(":")[2],
            "region": REGION,
            "uuid": order.addon_id,
        }
        try:
            reply = await self._ask("POST", "", body)
            self._require(reply, (200, 201, 202))
            return self._provided(order, reply)
        except (Unavailable, asyncio.CancelledError):
            # It is asked for again, or given up by `purge`. What is given up here by a daemon that ends would be asked
            # for by the next one under an id that its partner had done with.
            raise
        except BaseException:
            await asyncio.shield(self._undo(order))
            raise

    async def access(self, order: Order, app_id: str) -> Access:
        """The config vars that it gave."""
        if app_id not in order.apps:
            raise NotFound("The add-on is not attached to this app; attach it with `heroku addons:attach`.")
        return Access("", 0, "", "", "", config=order.values)

    async def link(self, order: Order, app_id: str) -> None:
        """What lets an app in are its config vars."""

    async def unlink(self, order: Order, app_id: str) -> None:
        """Who has read them still knows them: only the partner can change them."""

    async def resize(self, order: Order) -> Provided | None:
        """InvalidParams in the partner's words where it refuses the plan."""
        reply = await self._ask("PUT", self._of(order), {"plan": order.plan.name.partition(":")[2]})
        if reply.status == 422:
            raise InvalidParams(f"{self._manifest.name} refuses this plan: {self._words(reply)}", resource="add_on")
        self._require(reply, (200, 201, 202, 204))
        return self._provided(order, reply, anew=False)

    async def rotate(self, order: Order) -> None:
        """Only partners can."""
        raise self._theirs(order, "changes its passwords itself")

    async def hang_up(self, order: Order) -> None:
        """Only partners can."""
        raise self._theirs(order, "ends connections itself")

    async def reset(self, order: Order) -> None:
        """Only partners can."""
        raise self._theirs(order, "empties it itself")

    async def condition(self, order: Order) -> Condition:  # noqa: ARG002
        """The partner API has no way to ask."""
        return Condition(up=True, detail=f"How it is can't be asked of {self._manifest.name}.")

    async def mend(self, orders: Sequence[Order]) -> None:
        """What it has, it starts again itself."""

    async def tool(
        self,
        order: Order,
        argv: Sequence[str],
        env: Mapping[str, str] = {},  # noqa: ARG002
        *,
        size: Size | None = None,  # noqa: ARG002
        errors: Callable[[bytes], None] | None = None,  # noqa: ARG002
    ) -> Shell:
        """There is none."""
        raise self._theirs(order, f"has no program {argv[0] if argv else ''} here")

    async def set_aside(self, order: Order) -> None:
        """Partners keep nothing for us: it is given up at once."""
        await self.purge(order)

    async def bring_back(self, order: Order) -> None:
        """What was given up is not to be had again."""
        raise NotFound(f"{order.name} was given up at {self._manifest.name}; create another.", resource="add_on")

    async def purge(self, order: Order) -> None:
        """Unavailable while the partner refuses for now, or does not answer."""
        self._require(await self._ask("DELETE", self._of(order)), (200, 202, 204, *GONE))

    async def kept(self) -> Sequence[str]:
        """Nothing is here."""
        return ()

    # --- the partner ------------------------------------------------------------------------------------------------

    def _theirs(self, order: Order, does: str) -> InvalidParams:
        return InvalidParams(
            f"{order.name}: {self._manifest.name} {does}; open its dashboard with `heroku addons:open`.",
            resource="add_on",
        )

    def _of(self, order: Order) -> str:
        return f"/{quote(order.resource or order.addon_id, safe='')}"

    def _grant(self, addon_id: str) -> Mapping[str, str]:
        now = time.time()
        until = datetime.fromtimestamp(int(now) + SECONDS[CODE], UTC)
        return {
            "code": issue(self._key, CODE, addon_id, now),
            "expires_at": until.isoformat(),
            "type": "authorization_code",
        }

    async def _undo(self, order: Order) -> None:
        try:
            async with asyncio.timeout(UNDO_SECONDS):
                await self.purge(order)
        except (PaasError, TimeoutError):
            return  # whoever asked for it gives it up once more

    async def _check_way(self) -> None:
        """InvalidParams where the password would go over the internet in clear, or to where nobody may be asked."""
        url = urlsplit(self._manifest.resources)
        found = await self._web.addresses(str(url.hostname))
        if url.scheme == "http" and any(ipaddress.ip_address(address).is_global for address in found):
            raise InvalidParams(f"{url.hostname} is asked over plain http: its base_url must begin with https.")

    async def _ask(self, method: str, path: str, body: object = None) -> WebReply:
        manifest = self._manifest
        login = base64.b64encode(f"{manifest.id}:{manifest.password}".encode()).decode()
        headers = {
            "Accept": "application/vnd.heroku-addons+json; version=3",
            "Authorization": f"Basic {login}",
            "Content-Type": "application/json",
        }
        try:
            await self._check_way()
            return await self._web.fetch(
                f"{manifest.resources}{path}",
                method=method,
                headers=headers,
                body=None if body is None else json.dumps(body).encode(),
                max_bytes=ANSWER_BYTES,
                seconds=ANSWER_SECONDS,
            )
        except WebUnavailable as error:
            raise Unavailable(f"{manifest.name} is away: {error.message}") from error
        except InvalidParams as error:
            raise ProviderFailed(f"{manifest.name} can't be asked: {error.message}") from error

    def _require(self, reply: WebReply, fine: tuple[int, ...]) -> None:
        name = self._manifest.name
        if reply.status in fine:
            return
        if reply.status in (401, 403):
            raise ProviderFailed(f"{name} refuses our password; compare api.password of its manifest.")
        if reply.status >= 500 or reply.status in LATER:
            raise Unavailable(f"{name} can't now (HTTP {reply.status}): {self._words(reply)}")
        raise ProviderFailed(f"{name} refuses (HTTP {reply.status}): {self._words(reply)}")

    def _words(self, reply: WebReply) -> str:
        """The partner's own, as one line without our secrets."""
        said = _object(reply).get("message")
        if not isinstance(said, str) or not said.strip():
            return "it gave no reason."
        return self._clean(said)

    def _clean(self, said: str) -> str:
        for secret in (self._manifest.password, self._manifest.salt, self._manifest.secret):
            said = said.replace(secret, "…")
        plain = " ".join("".join(one if one.isprintable() else " " for one in said).split())
        return plain if len(plain) <= MESSAGE_CHARACTERS else f"{plain[: MESSAGE_CHARACTERS - 1]}…"

    def _provided(self, order: Order, reply: WebReply, *, anew: bool = True) -> Provided:
        """What it answered. ProviderFailed for what is no answer of this API."""
        said = _object(reply)
        resource, config, message = said.get("id"), said.get("config") or {}, said.get("message") or ""
        if not anew and resource is None:
            resource = order.resource or order.addon_id
        if isinstance(resource, int) and not isinstance(resource, bool):
            resource = str(resource)
        if not isinstance(resource, str) or not 0 < len(resource) <= RESOURCE_CHARACTERS or not resource.isprintable():
            raise ProviderFailed(f"{self._manifest.name} answered without an id; its API does not speak version 3.")
        try:
            values = read_values(self._manifest, config)
        except InvalidParams as error:
            raise ProviderFailed(f"{self._manifest.name} gave what can't be kept: {error.message}") from error
        return Provided(resource, values, self._clean(str(message)), pending=anew and reply.status == 202)


def _object(reply: WebReply) -> dict[str, Any]:
    """Its JSON object; empty where there is none."""
    try:
        said = json.loads(reply.body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
