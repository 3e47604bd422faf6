"""The seal on config vars, and the key file."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from paasd.adapters.secrets import ConfigSeal, create_key, read_key
from paasd.domain.errors import StoreUnavailable

KEY = bytes(range(32))
CONFIG = {"A": "1", "EMPTY": "", "ÜMLAUT": "“grüße”\n"}


def test_what_is_sealed_opens_for_the_same_app_and_key() -> None:
    seal = ConfigSeal(KEY, Path("key"))
    for config in (CONFIG, {}, {"BIG": "x" * 64_000}):
        assert seal.open(seal.seal(config, "app"), "app") == config
    assert seal.seal(CONFIG, "app") != seal.seal(CONFIG, "app")


def test_another_app_another_key_or_a_changed_byte_opens_nothing() -> None:
    seal = ConfigSeal(KEY, Path("/home/key"))
    sealed = seal.seal(CONFIG, "app")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    other = ConfigSeal(bytes(32), Path("/home/key"))
    for opener, content, app_id in ((seal, sealed, "other"), (other, sealed, "app"), (seal, changed, "app")):
        with pytest.raises(StoreUnavailable, match="/home/key"):
            opener.open(content, app_id)
    with pytest.raises(StoreUnavailable, match="newer"):
        seal.open(b"\x02" + sealed[1:], "app")


def test_a_key_is_made_once(tmp_path: Path) -> None:
    assert read_key(tmp_path / "key") is None
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(create_key, [tmp_path / "key"] * 8))
    assert len(keys) == 1 and len(keys.pop()) == 32
    assert create_key(tmp_path / "key") == read_key(tmp_path / "key")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"short", b"QUJD\n", b"!" * 44])
def test_a_spoilt_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    key_file = tmp_path / "key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="32 bytes"):
        read_key(key_file)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    create_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(StoreUnavailable, match="chmod 600"):
        read_key(tmp_path / "key")


def test_a_key_file_that_can_not_be_used_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="can't be read"):
        read_key(tmp_path)
    with pytest.raises(StoreUnavailable, match="can't be written"):
        create_key(tmp_path / "absent" / "key")
