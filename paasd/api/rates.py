"""How many calls a token has left: Heroku's rule, a bucket that fills up by the hour's share every second."""

import time
from collections.abc import Callable

from aiohttp import web

from paasd.api.replies import Refusal

HOUR = 3600.0
TOKENS = 10_000  # remembered; the one not used for longest is forgotten first, and would be nearly full again
UNCOUNTED = "/account/rate-limits"
REMAINING = web.RequestKey("REMAINING", int)


class Rates:
    """One bucket a token, of `limit` calls, full at first; `limit` calls an hour flow back."""

    def __init__(self, limit: int, *, clock: Callable[[], float] = time.monotonic, tokens: int = TOKENS) -> None:
        self._limit = limit
        self._clock = clock
        self._tokens = tokens
        self._left: dict[str, tuple[float, float]] = {}  # by token, used last at the end: calls left, and when

    def remaining(self, token: str) -> int:
        """What is left, without using any."""
        return int(self._filled(token))

    def use(self, token: str) -> int:
        """One call; how many are left then. Refusal (429) with Retry-After when there was none."""
        left = self._filled(token)
        if left < 1:
            wait = (1 - left) * HOUR / self._limit
            raise Refusal(
                429,
                "rate_limit",
                f"Your token has used up its {self._limit} calls an hour; wait a little, or have rate_limit in "
                "paasd.yaml allow more.",
                {"Retry-After": str(int(wait) + 1)},
            )
        self._left.pop(token, None)
        self._left[token] = (left - 1, self._clock())
        if len(self._left) > self._tokens:
            del self._left[next(iter(self._left))]
        return int(left - 1)

    def _filled(self, token: str) -> float:
        left, at = self._left.get(token, (float(self._limit), 0.0))
        return min(float(self._limit), left + (self._clock() - at) * self._limit / HOUR)


RATES = web.AppKey("RATES", Rates)


def count(request: web.Request, token: str) -> None:
    """Use one of the token's calls, unless this only asks how many there are. Raises Refusal (429)."""
    rates = request.app[RATES]
    request[REMAINING] = rates.remaining(token)
    if request.path != UNCOUNTED:
        request[REMAINING] = rates.use(token)
