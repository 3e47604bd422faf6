"""Which images a Dockerfile names. That another app's is refused: test_docker_build.py."""

import pytest

from paasd.adapters.docker_bases import named_images
from paasd.domain.errors import BuildFailed


@pytest.mark.parametrize(
    ("dockerfile", "names"),
    [
        ("FROM python:3.11-slim\n", ["python:3.11-slim"]),
        ("from --platform=$BUILDPLATFORM a AS b\nFROM b\nCOPY --from=b /x /x\n", ["a", "b"]),
        ("FROM scratch\nCOPY --from=0 /x /x\nCOPY --chown=1 --from=c:1 /x /x\n", ["c:1"]),
        ("ARG X=paasd/shop\nARG V=v3\nFROM $X:${V}\n", ["paasd/shop:v3"]),
        ("ARG X='a'\nARG X=\"b\"\nFROM $X\n", ["a", "b"]),
        ("ARG X=a Y=b\nFROM ${X:-c}${Y:+d}\n", ["ad"]),
        ("FROM ${NOWHERE:-a}\nFROM b${NOWHERE}\n", ["a", "b"]),
        ("ARG X=shop\nARG Y=paasd/$X\nFROM ${Y}\n", ["paasd/shop"]),
        ("FROM \\\n  # why\n\n  a:\\\n1\n", ["a:1"]),
        ("# escape=`\nFROM `\n a\n", ["a"]),
        ("FROM a\nRUN --mount=type=bind,from=b,source=/,target=/b --mount=from=c,target=/c ls\n", ["a", "b", "c"]),
        ("FROM sha256:0123\nADD --from=d / /\n", ["sha256:0123", "d"]),
        ("FROM a\nRUN curl https://example.org/?from=paris && x --from=$(cat y)\nCOPY x --from=b y\n", ["a"]),
        ("FROM scratch AS b\nONBUILD COPY --from=a /x /x\nONBUILD RUN --mount=from=c ls\n", ["a", "c"]),
        ("FROM\vpaasd/shop:v3\n", ["paasd/shop:v3"]),
        ("FROM a\nENV X=b\\\\\nFROM paasd/shop:v3\n", ["a", "paasd/shop:v3"]),
        ("# why\n# escape=`\nFROM a\nENV X=b`\nFROM paasd/shop:v3\n", ["a", "paasd/shop:v3"]),
        ('FROM paa\\sd/shop""\'\':v3\nFROM "b"\n', ["paasd/shop:v3", "b"]),
        ('ARG X="paa"sd/sh\\op\nARG Y=\'v\'"3"\nFROM $X:$Y\n', ["paasd/shop:v3"]),
        ("", []),
    ],
)
def test_each_that_may_be_meant_is_named(dockerfile: str, names: list[str]) -> None:
    assert named_images(dockerfile) == names


LAUGHS = "ARG A0=ha\n" + "".join(f"ARG A{at + 1}={f'$A{at}' * 10}\n" for at in range(12)) + "FROM $A12\n"
"""Each ten times the one before: it would not fit into memory."""


@pytest.mark.parametrize("dockerfile", ["ARG X=a\nFROM ${X%b}\n", "FROM ${A:-${B}}\n", "FROM ${!X}\n", LAUGHS])
def test_one_that_can_t_be_followed_is_refused(dockerfile: str) -> None:
    with pytest.raises(BuildFailed, match=r"can't be told before it is built; name it, or an ARG with a default"):
        named_images(dockerfile)
