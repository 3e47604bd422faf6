"""The command line: addresses, descriptors and numbers, or a sentence."""

from pathlib import Path

import pytest

from router.options import parse


def test_defaults_are_safe() -> None:
    options = parse(["--router-dir", "/d"])
    assert (options.listen, options.directory, options.workers) == (("127.0.0.1", 8080), Path("/d"), 1)
    assert (options.patience.requests, options.patience.websockets) == (30.0, 30.0)
    assert options.user is None and options.worker is None and options.resume is None


@pytest.mark.parametrize(
    ("text", "listen"), [("[::1]:80", ("::1", 80)), (":8080", ("0.0.0.0", 8080)), ("fd:3", 3), ("h:0", ("h", 0))]
)
def test_addresses_and_descriptors(text: str, listen: object) -> None:
    assert parse(["--router-dir", "/d", "--listen", text]).listen == listen


@pytest.mark.parametrize(
    "wrong",
    [
        *(("--listen", "8080"), ("--listen", "h:70000")),
        *(("--workers", "-1"), ("--workers", "999"), ("--workers", "two")),
        *(("--drain-seconds", "-1"), ("--websocket-drain-seconds", "nan"), ("--idle-timeout", "soon")),
    ],
)
def test_what_can_not_be_is_said(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        parse(["--router-dir", "/d", *wrong])
    assert error.value.code == 2 and repr(wrong[1]) in capsys.readouterr().err
