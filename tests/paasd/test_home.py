"""The home: ours alone, held by one daemon at a time, its small files whole or not there."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from paasd.home import Home, HomeError

OURS_ALONE = "a fresh install under umask 000, files that others may read, planted links, somebody else's home"
HOLD = """
import sys
from pathlib import Path
from paasd.home import Home
with Home(Path(sys.argv[1])).held():
    print("held", flush=True)
    sys.stdin.read()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "deep" / "home")
    home.prepare()
    return home


def test_a_home_remembers_its_engine(home: Home) -> None:
    """Bites: a home opened by the other engine, whose artifacts mean nothing to it."""
    assert home.engine("auto") == "auto"
    assert home.engine("process") == "process"
    home.keep_engine("process")
    assert [home.engine("auto"), home.engine("process")] == ["process", "process"]
    with pytest.raises(HomeError, match="--engine process"):
        home.engine("docker")


def test_a_home_from_before_engines_were_written_down_is_dockers(home: Home) -> None:
    home.id()
    assert home.engine("auto") == "docker"
    with pytest.raises(HomeError, match="--engine docker"):
        home.engine("process")


def test_the_folder_is_ours_alone_even_if_it_was_open_before(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    home = Home(tmp_path / "home")
    home.prepare()
    home.prepare()
    assert [mode(path) for path in (home.path, home.path / "apps", home.path / "tmp")] == [0o700] * 3


def test_a_home_that_can_not_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match=r"can't be made or used \(.+\); choose another with --home\.$"):
        Home(tmp_path / "file" / "home").prepare()


def test_token_and_secret_are_random_kept_and_ours_alone(home: Home) -> None:
    token, secret, name = home.token(), home.url_secret(), home.id()
    assert len(bytes.fromhex(token)) == 32
    assert len(secret) == 32
    assert (home.token(), home.url_secret(), home.id()) == (token, secret, name)
    assert home.cache_secret() == Home(home.path).cache_secret() != secret
    for file in ("token", "url-secret", "id"):
        assert mode(home.path / file) == 0o600, file
    assert not list(home.path.glob(".*.new"))


def test_modes_do_not_follow_the_umask(home: Home) -> None:
    before = os.umask(0)
    try:
        home.token()
        with home.held():
            pass
    finally:
        os.umask(before)
    assert (mode(home.path / "token"), mode(home.path / "lock")) == (0o600, 0o600)


@pytest.mark.row("S11", OURS_ALONE)
@pytest.mark.parametrize("name", ["token", "id", "url-secret"])
@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620])
def test_a_secret_that_others_may_read_is_refused(home: Home, name: str, bits: int) -> None:
    made = [home.token(), home.id(), home.url_secret()]
    path = home.path / name
    path.chmod(bits)
    with pytest.raises(HomeError, match=rf"{path} may be read by others.+run `chmod 600 {path}`"):
        [home.token(), home.id(), home.url_secret()]
    path.chmod(0o600)
    assert [home.token(), home.id(), home.url_secret()] == made


@pytest.mark.row("S11", OURS_ALONE)
def test_no_link_is_followed_for_a_secret(home: Home, tmp_path: Path) -> None:
    aim = tmp_path / "aim"
    (home.path / ".token.new").symlink_to(aim)
    home.token()
    assert not aim.exists()
    (home.path / "id").symlink_to(aim)
    with pytest.raises(HomeError, match=r"id can't be read \(it is a link\)"):
        home.id()
    aim.write_text("theirs")
    with pytest.raises(HomeError, match="it is a link"):
        home.id()
    assert aim.read_text() == "theirs"


@pytest.mark.row("S11", OURS_ALONE)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_somebody_elses_home_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o777)
    os.chown(tmp_path / "home", 65534, -1)
    with pytest.raises(HomeError, match="belongs to somebody else; run paasd as its owner"):
        Home(tmp_path / "home").prepare()
    assert not list((tmp_path / "home").iterdir())


def test_an_empty_token_file_is_not_a_token(home: Home) -> None:
    (home.path / "token").touch(mode=0o600)
    (home.path / "token").write_text("\n")
    with pytest.raises(HomeError, match="token is empty; put its content back, or remove the file"):
        home.token()


def test_two_homes_differ(tmp_path: Path) -> None:
    one, other = Home(tmp_path / "one"), Home(tmp_path / "other")
    one.prepare()
    other.prepare()
    assert one.token() != other.token()
    assert one.id() != other.id()


def test_the_api_is_announced_whole(home: Home) -> None:
    home.announce("http://127.0.0.1:5500", Path("/srv/router"))
    home.announce("http://127.0.0.1:5501", Path("/srv/router"))
    assert (home.path / "api").read_text() == "http://127.0.0.1:5501\n"


def test_a_second_holder_is_told_who_holds_it(home: Home) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(HomeError, match=rf"Another paasd \(process {holder.pid}\) holds the home") as refused:
            home.held().__enter__()
        assert "--home" in str(refused.value)
        holder.kill()
        holder.wait()
    with home.held():  # a dead holder holds nothing
        assert (home.path / "lock").read_text() == f"{os.getpid()}\n"


def test_the_hold_does_not_pass_to_children(home: Home) -> None:
    """A router, or a git, that outlives the daemon must not keep the next daemon out."""
    with home.held():
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with home.held():
            pass
    finally:
        child.kill()
        child.wait()


def test_where_things_are(home: Home) -> None:
    assert home.store == home.path / "store.db"
    assert home.key == home.path / "key"
    assert home.hooks == home.path / "hooks"
    assert home.hook_socket == home.path / "hook.sock"
