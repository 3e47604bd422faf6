"""Failed builds' words as sentences, and progress as lines, from what engines really say."""

import pytest

from paasd.adapters.docker_build_log import ClassicLog, explain, heading, readable

SOLVE = "failed to solve with frontend dockerfile.v0: failed to create LLB definition: "
PULL = 'Head "https://registry.example/v2/library/nosuch/manifests/1": dial tcp: no such host'


@pytest.mark.parametrize(
    ("words", "step", "message"),
    [
        (
            "executor failed running [/bin/sh -c pip install x && false]: exit code: 1",
            "[2/2] RUN pip install x && false",
            "The build failed: `pip install x && false` exited with status 1; its last lines above say why.",
        ),
        (
            'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3',
            "",
            "The build failed: `exit 3` exited with status 3; its last lines above say why.",
        ),
        (
            f"{SOLVE}failed to do request: {PULL}",
            "[internal] load metadata for docker.io/library/nosuch:1",
            "The base image nosuch:1 is not on this machine and could not be pulled; run `docker pull nosuch:1` "
            "(paasd's own images come with `make setup`), name one of this machine's in its place "
            "(stacks.aliases in paasd.yaml), or correct the FROM line.",
        ),
        (
            f"{SOLVE}dockerfile parse error line 2: unknown instruction: FOO",
            "",
            "The Dockerfile can't be used: dockerfile parse error line 2: unknown instruction: FOO; "
            "correct it and push again.",
        ),
        (
            'failed to compute cache key: "/nofile" not found: not found',
            "[2/2] COPY nofile /x",
            "The build failed at `COPY nofile /x`: /nofile is not in the source; commit it, take it out of "
            ".dockerignore, or correct the Dockerfile.",
        ),
        (
            "write /var/lib/docker/x: no space left on device",
            "",
            "The build failed: the engine's disk is full; free some space and push again.",
        ),
        ("something\nodd.", "RUN x", "The build failed at `RUN x`: something odd; correct that and push again."),
    ],
)
def test_words_become_a_sentence_with_a_remedy(words: str, step: str, message: str) -> None:
    assert explain(words, step, "FROM a\n").message == message


def test_a_base_image_is_found_in_the_dockerfile_where_the_step_does_not_tell() -> None:
    failure = explain(f"failed to do request: {PULL}", "", "FROM ok AS a\nFROM --platform=linux/amd64 nosuch:1\n")
    assert failure.message.startswith("The base image nosuch:1 is not on this machine")


@pytest.mark.parametrize(
    ("instruction", "line"),
    [
        ("RUN --mount=type=bind,from=a,source=/uv --network=none uv pip install -r x", "RUN uv pip install -r x"),
        ("FROM docker.io/library/python:3.11-slim", "FROM python:3.11-slim"),
        ("RUN a   &&\\\n   b --flag", "RUN a &&\\ b --flag"),
        ("RUN " + "x" * 300, "RUN " + "x" * 153 + "..."),
    ],
)
def test_an_instruction_fits_on_a_line(instruction: str, line: str) -> None:
    assert readable(instruction) == line


def test_a_heading_is_herokus() -> None:
    assert heading("COPY . .", "stage-0  2/4", cached=True) == b"-----> COPY . . (2/4, cached)\n"


async def test_the_classic_builders_noise_is_left_out() -> None:
    """Its own paint, too, but not what the build painted itself."""
    shown = bytearray()

    async def output(data: bytes) -> None:
        shown.extend(data)

    log = ClassicLog(output)
    for piece in (
        "Step 1/3 : FROM a",
        "\n",
        " ---> fa13208da4c2\n",
        "Step 2/3 : RUN x",
        "\n ---> Using cache\n",
        " ---> fa13208da4c2\nStep 3/4 : RUN y\n",
        " ---> Running in e2e16cda3cad\n",
        "\x1b[91mred\n\x1b[0m",
        "\x1b[32mits own\x1b[0m\n",
        "10%\r20%\r100%",
        "Removing intermediate container e2e16cda3cad\n",
        "Step 4/4 : LABEL paasd.app=x\n ---> Using cache\nSuccessfully built fa13208da4c2\n",
        "no end",
    ):
        await log.show({"stream": piece})
    await log.show({"status": "Pulling"})
    await log.finish()
    assert shown.decode() == (
        "-----> FROM a (1/3)\n-----> RUN x (2/3, cached)\n-----> RUN y (3/4)\n       red\n"
        "       \x1b[32mits own\x1b[0m\n       100%\n       no end\n"
    )
