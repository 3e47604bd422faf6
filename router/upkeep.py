"""Who may pass an app in maintenance: by its end, by address, by a signed cookie; and how one gets the cookie."""

import hmac
import ipaddress
import math
from dataclasses import dataclass, replace
from functools import lru_cache

from router.codes import Code, Fault
from router.headers import RequestHead
from router.table import BYPASS_PATH, Route, bypass_token

COOKIE = "paasd_bypass"
_AFTER = 0.01  # a timer may ring a little before its time
_PREFIX = BYPASS_PATH.encode()


@dataclass(frozen=True, slots=True)
class Pass:
    """The answer to a good bypass link: where to go on, with this cookie."""

    location: str
    cookie: str


def held(route: Route, now: float) -> bool:
    """Whether the app is in maintenance; its end comes by our own clock, whether or not the daemon lives to say so."""
    hold = route.hold
    return route.maintenance and (hold is None or not hold.until or now < hold.until)


def lets_in(route: Route, head: RequestHead, address: str, now: float) -> bool:
    """Whether this request passes, maintenance or not."""
    hold = route.hold
    if not held(route, now):
        return True
    if hold is None:
        return False
    if hold.allow and _within(address, hold.allow):
        return True
    return bool(hold.bypass) and any(_opens(route, hold.bypass, token, now) for token in _tokens(head))


def pause_left(route: Route | None, head: RequestHead, address: str, now: float) -> float:
    """Seconds that this request may wait for the end of maintenance; 0 where it is not to wait."""
    if route is None or route.hold is None or not route.hold.pause or answers_health(route, head, now):
        return 0.0
    if lets_in(route, head, address, now):
        return 0.0
    until = route.hold.until
    return min(route.hold.pause, until - now + _AFTER) if until else route.hold.pause


def answers_health(route: Route, head: RequestHead, now: float) -> bool:
    """Whether this asks, during maintenance, for the path that balancers before us look at: they are to keep us."""
    path = (route.hold.health_path if route.hold is not None else "") or route.health_path
    if not path or head.method not in (b"GET", b"HEAD") or not held(route, now):
        return False
    return head.target.partition(b"?")[0] == path.encode()


def is_link(route: Route, head: RequestHead) -> bool:
    """Whether this is a bypass link, good or not: it holds a secret that no log is to tell."""
    return route.hold is not None and bool(route.hold.bypass) and head.target.startswith(_PREFIX)


def take_link(route: Route, head: RequestHead, now: float) -> Pass | None:
    """The answer to a bypass link; None where this is none. Raises Fault for one that is over, or was never good."""
    if route.hold is None or not is_link(route, head):
        return None
    token, _, rest = head.target[len(_PREFIX) :].decode("latin-1").partition("/")
    if not _opens(route, route.hold.bypass, token, now):
        raise Fault(Code.H80, "This link is over: ask for a new one with `paas maintenance:bypass`.", 403)
    age = int(token.partition(".")[0]) - int(now)
    cookie = f"{COOKIE}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax"
    return Pass("/" + rest.lstrip("/\\"), cookie)  # "//host" would lead to somebody else's site


def back_in(route: Route, now: float) -> int | None:
    """Seconds until maintenance ends, where that is known."""
    until = route.hold.until if route.hold is not None else 0.0
    return max(1, math.ceil(until - now)) if until and held(route, now) else None


def without_cookie(head: RequestHead) -> RequestHead:
    """The head without our cookie, which is none of the app's business."""
    if not any(COOKIE.encode() in value for name, value in head.kept if name.lower() == b"cookie"):
        return head
    kept = []
    for name, value in head.kept:
        if name.lower() == b"cookie":
            others = [part for part in value.split(b";") if part.split(b"=")[0].strip() != COOKIE.encode()]
            value = b";".join(others).strip()  # noqa: PLW2901
            if not value:
                continue
        kept.append((name, value))
    return replace(head, kept=tuple(kept))


def _opens(route: Route, key: str, token: str, now: float) -> bool:
    expires = token.partition(".")[0]
    if not expires.isascii() or not expires.isdigit() or len(expires) > 12 or int(expires) <= now:
        return False
    return hmac.compare_digest(bypass_token(key, route.app, int(expires)).encode(), token.encode("latin-1", "replace"))


def _tokens(head: RequestHead) -> list[str]:
    pairs = [
        part.partition(b"=") for name, value in head.kept if name.lower() == b"cookie" for part in value.split(b";")
    ]
    return [token.decode("latin-1").strip() for name, _, token in pairs if name.strip() == COOKIE.encode()]


@lru_cache(maxsize=512)
def _within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        client = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    return any(client in ipaddress.ip_network(network) for network in networks)
