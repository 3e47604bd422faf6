"""Add-on partners: what the manifest of a third party's service says, and the tokens of Heroku's partner API."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from paasd.domain.errors import InvalidParams

PROVIDER = "partner:"  # what a partner's AddonProvider is called by, before the id of its service
RESOURCES = "/heroku/resources"  # where a partner is asked whose base_url names no path
ID = re.compile(r"[a-z][a-z0-9-]{1,49}")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
PLAN = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
FIRST_PLAN = "test"  # that every service at Heroku begins with
CODE, ACCESS, REFRESH = "code", "access", "refresh"
SECONDS = {CODE: 300, ACCESS: 8 * 3600, REFRESH: 10 * 365 * 86400}  # that each is good for, as at Heroku
PREFIX = "addon"
VALUE_CHARACTERS = 32 * 1024
LABEL_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Manifest:
    """Of an add-on service: Heroku's addon-manifest.json. `resources` is the URL that add-ons are asked for at.

    `variables` are the names of all config vars that its add-ons may give, each of which begins with `prefix` and "_".
    `plans` are (slug, name for people), the default one first; `secret` is the partner's at our /oauth/token.
    """

    id: str
    name: str
    resources: str
    sso_url: str | None
    variables: tuple[str, ...]
    prefix: str
    requires: frozenset[str]
    plans: tuple[tuple[str, str], ...]
    password: str = field(repr=False)
    salt: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def provider(self) -> str:
        """What the provider of its add-ons is called."""
        return f"{PROVIDER}{self.id}"

    def suffix(self, variable: str) -> str:
        """What follows an attachment's name: "URL" of ACME_URL."""
        return variable.removeprefix(f"{self.prefix}_")


def parse_manifest(given: object, plans: tuple[str, ...] = (), secret: str | None = None) -> Manifest:
    """Of the JSON of an addon-manifest.json; `plans` and `secret` in place of its own. ValueError: a sentence without
    any secret."""
    whole = _object(given, "the manifest")
    name = _text(whole, "id", ID, 'lower-case letters, digits and dashes, such as "acme"')
    api = _object(whole.get("api"), "api")
    if str(api.get("version", "3")) != "3":
        raise ValueError("api.version must be 3: the partner API's older versions are not spoken here")
    production = api.get("production")
    if isinstance(production, str):
        production = {"base_url": production}
    urls = _object(production, "api.production")
    prefix = str(api.get("config_vars_prefix") or name.upper().replace("-", "_"))
    variables = _variables(api.get("config_vars"), prefix)
    password = _secret(api, "password")
    requires = api.get("requires", [])
    if not isinstance(requires, list):
        raise ValueError('api.requires must be a list, such as ["many_per_app"]')
    base = _url(urls.get("base_url"), "api.production.base_url").rstrip("/")
    return Manifest(
        id=name,
        name=_label(whole, name),
        resources=base if urlsplit(base).path else f"{base}{RESOURCES}",
        sso_url=_url(urls["sso_url"], "api.production.sso_url") if urls.get("sso_url") else None,
        variables=variables,
        prefix=prefix,
        requires=frozenset(map(str, requires)),
        plans=_plans(list(plans) or whole.get("plans") or [FIRST_PLAN]),
        password=password,
        salt=_secret(api, "sso_salt"),
        secret=secret or password,
    )


def _object(given: object, name: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"{name} must be a JSON object")
    return given


def _text(of: Mapping[str, Any], name: str, form: "re.Pattern[str]", such: str) -> str:
    value = of.get(name)
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise ValueError(f"{name} must be {such}")
    return value


def _label(of: Mapping[str, Any], slug: str) -> str:
    """What people see."""
    value = of.get("name") or slug.replace("-", " ").title()
    if not isinstance(value, str) or not value.isprintable() or len(value) > LABEL_CHARACTERS:
        raise ValueError(f"the name of {slug} must be a line of up to {LABEL_CHARACTERS} characters")
    return value


def _secret(api: Mapping[str, Any], name: str) -> str:
    value = api.get(name)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f"api.{name} must be a string that is not empty")
    return value


def _url(given: object, name: str) -> str:
    try:
        url = urlsplit(given if isinstance(given, str) else "")
        right = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0 and url.username is None
        right = right and not url.query and not url.fragment
    except ValueError:
        right = False
    if not right:
        raise ValueError(f'{name} must be a URL without user or query, such as "https://acme.example/heroku/resources"')
    return str(given)


def _variables(given: object, prefix: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not given:
        raise ValueError(f'api.config_vars must list names, such as ["{prefix}_URL"]')
    for one in given:
        if not isinstance(one, str) or VARIABLE.fullmatch(one) is None or not one.startswith(f"{prefix}_"):
            raise ValueError(
                f"api.config_vars: {str(one)[:100]!r} must be capital letters, digits and underscores and begin with "
                f"{prefix}_; api.config_vars_prefix names another beginning"
            )
    return tuple(dict.fromkeys(given))


def _plans(given: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(given, list):
        raise ValueError('plans must be a list, such as ["basic", "large"]')
    found = {}
    for one in given:
        plan = one if isinstance(one, dict) else {"id": one}
        slug = _text(plan, "id", PLAN, 'lower-case letters, digits and dashes, such as "basic"')
        found[slug] = _label(plan, slug)
    return tuple(found.items())


def read_values(manifest: Manifest, config: object) -> Mapping[str, str]:
    """Config vars, as a partner gives them, by what follows an attachment's name. InvalidParams for others than its
    manifest names."""
    if not isinstance(config, dict):
        raise InvalidParams("config must be an object of names and values.")
    for name, value in config.items():
        if name not in manifest.variables:
            raise InvalidParams(f"The manifest of {manifest.id} does not name {str(name)[:100]!r}; add it there first.")
        if not isinstance(value, str) or len(value) > VALUE_CHARACTERS or "\0" in value or _broken(value):
            raise InvalidParams(f"The value of {name} must be text of up to {VALUE_CHARACTERS} characters.")
    return {manifest.suffix(name): value for name, value in config.items()}


def _broken(text: str) -> bool:
    """Whether it has halves of characters, which JSON can write down."""
    return any("\ud800" <= one <= "\udfff" for one in text)


# --- what a partner has at our API ------------------------------------------------------------------------------------


def issue(key: bytes, purpose: str, addon_id: str, now: float) -> str:
    """A code, access token or refresh token for one add-on, good for SECONDS. Nothing of it is kept."""
    until = int(now) + SECONDS[purpose]
    return f"{PREFIX}-{purpose}-{addon_id}-{until}-{_sign(key, purpose, addon_id, until)}"


def addon_of(key: bytes, purpose: str, token: str, now: float) -> str | None:
    """The id of the add-on that a token of ours is for; None for any other."""
    head, _, signature = token.rpartition("-")
    head, _, end = head.rpartition("-")
    begin = f"{PREFIX}-{purpose}-"
    if not head.startswith(begin) or not end.isascii() or not end.isdecimal() or len(end) > 12:
        return None
    addon_id, until = head.removeprefix(begin), int(end)
    right = hmac.compare_digest(_sign(key, purpose, addon_id, until).encode(), signature.encode("utf-8", "replace"))
    return addon_id if right and now < until else None


def _sign(key: bytes, purpose: str, addon_id: str, until: int) -> str:
    said = f"addon {purpose}\n{addon_id}\n{until}".encode("utf-8", "replace")  # what a header has may be no text
    return hmac.new(key, said, hashlib.sha256).hexdigest()


def sso_fields(
    manifest: Manifest, uuid: str, resource: str, app: str, user: str, email: str, now: float
) -> dict[str, str]:
    """The form that opens an add-on's dashboard at its partner. `uuid` is ours of the add-on, `resource` the partner's.

    Heroku's formulas: SHA-1 over id, salt and second, and SHA-256 over who asks as well.
    """
    at = str(int(now))

    def sha1(named: str) -> str:
        return hashlib.sha1(f"{named}:{manifest.salt}:{at}".encode(), usedforsecurity=False).hexdigest()

    scoped = hashlib.sha256(f"{uuid}:{manifest.salt}:{at}:{user}:{email}".encode()).hexdigest()
    return {
        "id": resource,
        "token": sha1(resource),
        "resource_id": uuid,
        "resource_token": sha1(uuid),
        "user_scoped_resource_token": scoped,
        "timestamp": at,
        "email": email,
        "user_id": user,
        "app": app,
        "context_app": app,
        "nav-data": "",
    }
