"""Where an instruction of a Dockerfile begins and ends. What it is for: test_docker_bases.py, test_dockerfile.py of
the builders."""

import pytest

from paasd.domain.dockerfile import instructions


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("FROM a\n\n  RUN b  \n", [("FROM a", 0), ("RUN b", 2)]),
        ("RUN a \\\n  # why\n\n  b \\ \t\n\tc\r\nRUN d", [("RUN a   b \tc", 4), ("RUN d", 5)]),
        ("ENV X=a\\\\\nFROM b\n", [("ENV X=a\\\\", 0), ("FROM b", 1)]),  # an escaped one does not go on
        ("\\\nFROM b\n", [("FROM b", 1)]),
        ("# escape=`\nRUN a`\n b\nRUN c\\\n", [("RUN a b", 2), ("RUN c\\", 3)]),
        ("#a=b\n# Escape = ` \nRUN a`\nb\n", [("RUN ab", 3)]),
        ("# why\n# escape=`\nRUN a`\nRUN b\\\nc\n", [("RUN a`", 2), ("RUN bc", 4)]),  # no directive below a comment
        ("FROM\va\u2028RUN b\n", [("FROM\va\u2028RUN b", 0)]),  # no line ends there
        ("RUN a \\\n", [("RUN a", 0)]),
    ],
)
def test_lines_that_go_on_are_one(text: str, found: list[tuple[str, int]]) -> None:
    """Bites: with `endswith` in the place of `goes_on`, the base behind an escaped backslash is part of an ENV."""
    assert list(instructions(text)) == found
