"""What providers of add-ons do alike: each of several, and a check of a program's name."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from paasd.domain.errors import InvalidParams, PaasError
from paasd.ports import Order

log = structlog.get_logger(__name__)


async def mend_each(orders: Sequence[Order], mend: Callable[[Order], Awaitable[None]]) -> None:
    """Each by itself: one that can't be mended does not keep the others waiting. Raises the first error then."""
    found = await asyncio.gather(*(mend(order) for order in orders), return_exceptions=True)
    errors = [error for error in found if isinstance(error, BaseException)]
    for order, error in zip(orders, found, strict=True):
        if isinstance(error, PaasError):
            log.warning("an add-on could not be mended", addon=order.name, error=str(error))
    if errors:
        raise errors[0]


def check_tool(order: Order, argv: Sequence[str], known: Sequence[str]) -> str:
    """The program that is asked for. InvalidParams, with those that there are, where it is none of them."""
    if not argv or argv[0] not in known:
        there = ", ".join(known)
        raise InvalidParams(f"{order.name} has no program {argv[0] if argv else ''}; there are {there}.")
    return argv[0]
