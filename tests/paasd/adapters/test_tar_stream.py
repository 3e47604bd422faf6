"""The rules for archives, one by one, without a child. What hostile archives do is in test_archives.py."""

import io
import tarfile

import pytest

from paasd.adapters.tar_stream import Bounds, Names, Refused, look, plain_path, quote, write_commit
from tests.paasd.adapters.tars import Entry, packed

ROOM = Bounds(1000, 1_000_000, 1_000_000)


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        (["shop-1/Procfile", "shop-1/app/main.py"], "shop-1"),
        (["./shop-1/Procfile"], "shop-1"),
        (["Procfile", "app/main.py"], ""),
        (["a/x", "b/y"], ""),
        (["./Procfile"], ""),
    ],
)
def test_the_folder_that_everything_lies_in(names: list[str], folder: str) -> None:
    assert look(io.BytesIO(packed(*(Entry(name) for name in names))), ROOM) == folder


def test_what_fast_import_is_told() -> None:
    archive = packed(
        Entry("shop/run", mode=0o4755, data=b"#!"),
        Entry('shop/a "quoted"\nname', data=b""),
        Entry("shop/again", kind=tarfile.LNKTYPE, link="shop/run"),
        Entry("shop/here", kind=tarfile.SYMTYPE, link="run"),
        Entry("shop/.git/config", data=b"[core]"),
    )
    out = io.BytesIO()
    write_commit(io.BytesIO(archive), out, ROOM, "shop")
    told = out.getvalue().partition(b"Archive\n")[2]
    assert told == (
        b'M 100755 inline "run"\ndata 2\n#!\n'
        b'M 100644 inline "a \\"quoted\\"\\nname"\ndata 0\n\n'
        b'C "run" "again"\n'
        b'M 120000 inline "here"\ndata 3\nrun\n'
        b"done\n"
    )


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "a/..", "x" * 256, "a/" * 101 + "b", "d/" * 1600])
def test_paths_that_are_refused(name: str) -> None:
    with pytest.raises(Refused, match=r"^The archive holds .*; .*\.$"):
        plain_path(name)


def test_each_path_counts_once_and_only_folders_hold_others() -> None:
    names = Names()
    names.add("a/b", plain=True)
    names.add_folder("a")
    names.add_folder("a/c")
    for again in ("a/b", "a", "a/b/c"):
        with pytest.raises(Refused):
            names.add(again, plain=True)
    for again in ("a/b", "a/b/c"):
        with pytest.raises(Refused):
            names.add_folder(again)


def test_a_path_as_fast_import_reads_it() -> None:
    assert quote('a\\"b\n\udcff') == b'"a\\\\\\"b\\n\xff"'
