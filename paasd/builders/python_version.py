"""Which Python a source asks for, and the stack that has it."""

import re
from dataclasses import dataclass

from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed
from paasd.domain.stack import MACHINE, Stack, Stacks, parse_version
from paasd.domain.version_range import satisfies


@dataclass(frozen=True, slots=True)
class Asked:
    """A version ("3.12") or a range (">=3.11,<4") and the file that says so."""

    text: str
    file: str
    exact: bool


def asked(source: Source, requires: str, requires_file: str) -> Asked | None:
    """By .python-version, runtime.txt, then what the project requires. Raises BuildFailed for what can't be meant."""
    for name, pattern in (
        (".python-version", r"(?:python-|cpython-|cpython@)?(3(?:\.\d+){1,2})"),
        ("runtime.txt", r"python-(\d+(?:\.\d+){1,2})"),
    ):
        text = source.text(name)
        lines = [
            line.strip() for line in (text or "").splitlines() if line.strip() and not line.strip().startswith("#")
        ]
        if not lines:
            continue
        match = re.fullmatch(pattern, lines[0])
        if match is None:
            example = "python-3.11.2" if name == "runtime.txt" else "3.11"
            raise BuildFailed(f"{name} says {lines[0][:60]!a}; write a version such as {example}.")
        return Asked(match[1], name, exact=True)
    return Asked(requires, requires_file, exact=False) if requires else None


def choose(wanted: Asked | None, stacks: Stacks, *, strict: bool) -> tuple[Stack, str, tuple[str, ...]]:
    """The stack, why it is that one, and warnings. Raises BuildFailed under `strict` when none satisfies."""
    default = stacks.default
    if wanted is None:
        return default, f"Using Python {default.python} of the {default.name} stack, as the source asks for none", ()
    here = sorted(stacks.stacks or (default,), key=lambda stack: parse_version(stack.python))
    range_ = f"=={'.'.join(wanted.text.split('.')[:2])}" if wanted.exact else wanted.text
    fit = [stack for stack in here if satisfies(parse_version(stack.python), range_)]
    if fit:
        stack = default if default in fit else fit[0]
        return stack, f"Using Python {stack.python} of the {stack.name} stack, by {wanted.file} ({wanted.text})", ()
    there = "the stacks here have " + ", ".join(f"{stack.python} ({stack.name})" for stack in here)
    if default.name == MACHINE:
        there = f"this machine has {default.python}"
    words = f"{wanted.file} asks for Python {wanted.text}, and {there}"
    if strict:
        raise BuildFailed(f"{words}; ask for {'one of those' if len(here) > 1 else 'that'}, {stacks.remedy}.")
    lowest = parse_version(match[0]) if (match := re.search(r"\d+(?:\.\d+)*", wanted.text)) else ()
    above = [stack for stack in here if parse_version(stack.python) >= lowest[:2]]
    stack = above[0] if above else here[-1]
    return (
        stack,
        f"Using Python {stack.python} of the {stack.name} stack, the nearest",
        (f"{words}: {stack.python} is used.",),
    )
