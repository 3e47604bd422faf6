"""Capability URLs: whoever has one may read one thing for 2 to 3 hours, without a token. They are never logged."""

import hashlib
import hmac

HOUR = 3600
HOURS_VALID = 3  # the hour it was minted in and the two after


def mint(secret: bytes, resource: str, now: float) -> str:
    """The signature that opens `resource`, 64 hex digits; `now` is in seconds since the epoch."""
    return _sign(secret, resource, int(now // HOUR))


def opens(secret: bytes, resource: str, signature: str, now: float) -> bool:
    """Whether the signature was minted for `resource` less than 2 to 3 hours ago."""
    hour = int(now // HOUR)
    given = signature.encode("utf-8", "replace")
    candidates = [_sign(secret, resource, hour - age).encode() for age in range(HOURS_VALID)]
    return any(hmac.compare_digest(candidate, given) for candidate in candidates)


def _sign(secret: bytes, resource: str, hour: int) -> str:
    return hmac.new(secret, f"{hour}\n{resource}".encode(), hashlib.sha256).hexdigest()
