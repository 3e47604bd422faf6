"""Heroku's published schema as a judge of our answers, loosened only where its servers or clients differ from it."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft4Validator, FormatChecker

from paasd.api.openapi import PUBLISHED

# What the published schema says that only Heroku's own servers can hold to.
FOREIGN_PATTERNS = (
    ("app", "git_url"),  # names git.heroku.com
    ("app", "web_url"),  # names herokuapp.com
)
FOREIGN_ENUMS = (("region", "provider", "region"),)  # Amazon's regions
# Listed by the schema and left out by us: Heroku's own answers leave them out too.
NOT_SENT = {"collaborator": {"permissions"}}


@cache
def load_judge() -> "Judge":
    """The judge."""
    return Judge(json.loads(PUBLISHED.read_bytes()))


class Judge:
    """Knows every link of the schema: what each method on each path answers with."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._definitions = schema["definitions"]
        self._loosen()
        self._links = list(self._read_links())

    def check(self, method: str, path: str, body: Any) -> bool:
        """Raises jsonschema's ValidationError for a wrong answer; False where the schema knows no such link."""
        for link_method, pattern, noun, target in self._links:
            if link_method == method and pattern.fullmatch(path.partition("?")[0]):
                Draft4Validator(
                    {"definitions": self._definitions, "allOf": [target]},
                    format_checker=FormatChecker(),
                ).validate(body)
                self._check_whole(noun, target, body)
                return True
        return False

    def _check_whole(self, noun: str, target: dict[str, Any], body: Any) -> None:
        """Clients read what the schema lists, required or not: nothing of it may be missing."""
        listed = self._definitions[noun].get("properties")
        whole = target.get("$ref") == f"#/definitions/{noun}"
        of_each = target.get("items", {}).get("$ref") == f"#/definitions/{noun}"
        for resource in body if of_each else [body] if whole else []:
            missing = set(listed or ()) - resource.keys() - NOT_SENT.get(noun, set())
            assert not missing, f"{noun} lacks {sorted(missing)}"

    def _loosen(self) -> None:
        for noun, name in FOREIGN_PATTERNS:
            self._definitions[noun]["definitions"][name].pop("pattern")
        for noun, outer, inner in FOREIGN_ENUMS:
            self._definitions[noun]["definitions"][outer]["properties"][inner].pop("enum")
        self._definitions["add-on"]["definitions"]["state"]["enum"].append("deprovisioning")  # the CLI waits
        # Accept-Inclusion has more of the add-on in an attachment
        self._definitions["add-on-attachment"]["properties"]["addon"].pop("additionalProperties")

    def _read_links(self) -> Iterator[tuple[str, re.Pattern[str], str, dict[str, Any]]]:
        for noun, definition in self._definitions.items():
            for link in definition.get("links", ()):
                if link.get("targetSchema"):
                    yield link["method"], _pattern(link["href"]), noun, link["targetSchema"]


def _pattern(href: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]*\}", unquote(re.sub(r"\{\(([^)]*)\)\}", "{x}", href)))
    return re.compile("[^/]+".join(re.escape(part) for part in parts))
