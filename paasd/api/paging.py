"""Lists by ranges: `Range: name ]shop..; max=10, order=desc` in, Content-Range, Next-Range and 206 out.

An attribute we can't order by falls back to the list's first; only what can't be read at all is refused (416).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from paasd.api.replies import Refusal, reply

DEFAULT_MAX = 200
LARGEST_MAX = 1000
NUMBERS = ("version", "seq")
SHARED = ("created_at", "updated_at")  # shown in seconds; ordered by the moment, and by id where that is the same
TIE = "~"
LAST = "\U0010ffff"  # after any id
RANGE = re.compile(r"\s*(?P<attribute>[\w.-]*)\s*(?P<bounds>[^;]*)(?:;(?P<options>.*))?", re.DOTALL)

Resource = dict[str, Any]
Listed = tuple[Resource, object]  # a resource, and what it shows, whose times are finer
Position = tuple[str | int, str]


@dataclass(frozen=True, slots=True)
class Range:
    """What part of a list is wanted. Bounds are positions in the order asked for."""

    attribute: str
    start: str | None = None
    start_excluded: bool = False
    end: str | None = None
    end_excluded: bool = False
    limit: int = DEFAULT_MAX
    descending: bool = False


def parse_range(header: str | None, attributes: Sequence[str]) -> Range:
    """The range asked for; the first attribute is the default. Raises Refusal (416)."""
    match = RANGE.fullmatch(header or "")
    if match is None:
        raise _unreadable(header)
    limit, descending = _parse_options(match["options"] or "", header)
    attribute, bounds = match["attribute"], match["bounds"].strip()
    if attribute not in attributes or ".." not in bounds:
        return Range(attributes[0], limit=limit, descending=descending)
    start, _, end = bounds.partition("..")
    return Range(
        attribute,
        start=start.lstrip("[]") or None,
        start_excluded=start.startswith("]"),
        end=end.rstrip("[]") or None,
        end_excluded=end.endswith("["),
        limit=limit,
        descending=descending,
    )


def reply_list(
    request: web.Request,
    resources: Sequence[Resource],
    attributes: Sequence[str],
    *,
    of: Sequence[object] | None = None,
) -> web.Response:
    """The part of a whole list that the request wants. `of` is what each resource shows: a list that can be ordered by
    time needs it (ValueError), as what is newest is not told by the seconds that are shown."""
    if of is None and any(name in SHARED for name in attributes):
        raise ValueError("a list that is ordered by time needs what its resources show")
    wanted = parse_range(request.headers.get("Range"), attributes)
    shown = zip(resources, of if of is not None else [None] * len(resources), strict=True)
    page, more = cut(list(shown), wanted)
    return reply_page(request, page, wanted, attributes, more=more)


def cut(resources: Sequence[Listed], wanted: Range) -> tuple[list[Listed], bool]:
    """The resources within the range in its order, and whether there are more than it may hold."""
    sign = -1 if wanted.descending else 1
    start = _bound(wanted.attribute, wanted.start, after=wanted.start_excluded == (sign > 0))
    end = _bound(wanted.attribute, wanted.end, after=wanted.end_excluded != (sign > 0))
    chosen = [
        listed
        for listed in resources
        if _is_after(_position(listed, wanted), start, sign, wanted.start_excluded)
        and _is_after(_position(listed, wanted), end, -sign, wanted.end_excluded)
    ]
    chosen.sort(key=lambda listed: _position(listed, wanted), reverse=wanted.descending)
    return chosen[: wanted.limit], len(chosen) > wanted.limit


def reply_page(
    request: web.Request, page: Sequence[Listed], wanted: Range, attributes: Sequence[str], *, more: bool
) -> web.Response:
    """A page with the headers that tell the reader how to go on."""
    first, last = (_cursor(page[0], wanted), _cursor(page[-1], wanted)) if page else ("", "")
    options = f"max={wanted.limit}" + (", order=desc" if wanted.descending else "")
    headers = {
        "Accept-Ranges": ", ".join(attributes),
        "Content-Range": f"{wanted.attribute} {first}..{last}; {options}",
    }
    if more:
        end = f"{wanted.end}{'[' if wanted.end_excluded else ''}" if wanted.end else ""
        headers["Next-Range"] = f"{wanted.attribute} ]{last}..{end}; {options}"
    shown = [resource for resource, _ in page]
    return reply(request, shown, status=206 if more else 200, headers=headers)


def parse_number(text: str) -> int:
    """A version in a bound. Raises Refusal (416)."""
    if not re.fullmatch(r"v?[0-9]{1,15}", text):
        raise _unreadable(text)
    return int(text.lstrip("v"))


def _parse_options(options: str, header: str | None) -> tuple[int, bool]:
    pairs = (option.partition("=") for option in re.split("[;,]", options))
    given = {name.strip(): value.strip() for name, equals, value in pairs if equals}
    limit, order = given.get("max", str(DEFAULT_MAX)), given.get("order", "asc")
    if not re.fullmatch(r"[0-9]{1,9}", limit) or int(limit) == 0 or order not in ("asc", "desc"):
        raise _unreadable(header)
    return min(int(limit), LARGEST_MAX), order == "desc"


def _unreadable(header: str | None) -> Refusal:
    return Refusal(
        416,
        "requested_range_not_satisfiable",
        f"The range {(header or '')[:60]!r} can't be read; write one such as `id ..; max=200, order=desc`.",
    )


def _position(listed: Listed, wanted: Range) -> Position:
    resource, source = listed
    value = resource[wanted.attribute]
    if wanted.attribute not in NUMBERS:
        at = getattr(source, wanted.attribute, None) if wanted.attribute in SHARED else None
        value = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(at, datetime) else str(value)
    return value, str(resource.get("id", ""))


def _cursor(listed: Listed, wanted: Range) -> str:
    value, identity = _position(listed, wanted)
    return f"{value}{TIE}{identity}" if wanted.attribute in SHARED else str(value)


def _bound(attribute: str, text: str | None, *, after: bool) -> Position | None:
    """A bound as a position: before or after all resources that share its value, unless it names one of them."""
    if text is None:
        return None
    value, _, identity = text.partition(TIE)
    if attribute in NUMBERS:
        return parse_number(value), identity or (LAST if after else "")
    if attribute in SHARED and not identity and not after:
        value = value.removesuffix("Z")  # before each moment of the second, as "…00.5Z" is written before "…00Z"
    return value, identity or (LAST if after else "")


def _is_after(position: Position, bound: Position | None, sign: int, excluded: bool) -> bool:
    if bound is None:
        return True
    if position == bound:
        return not excluded
    return position > bound if sign > 0 else position < bound
