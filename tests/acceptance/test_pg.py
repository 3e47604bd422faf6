"""PostgreSQL and Redis behind add-ons, as `paas` and the official CLI drive them: on this machine's own servers."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from paasd.domain.addon import Kind
from tests.contracts.addon_benches import require
from tests.daemon import Daemon, Shell, running, shell_for, wait_until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    require(Kind.POSTGRESQL)
    require(Kind.REDIS)
    root = Path(tempfile.mkdtemp(prefix="paasd-"))
    try:
        with running(root, options=("--engine", "process"), config={"addons": {"provider": "embedded"}}) as daemon:
            try:
                yield daemon
            finally:
                addons = daemon.call("GET", "/addons")[1]
                daemon.stop()  # or it starts them again
                for addon in addons:
                    end_server(daemon, addon["id"])
    finally:
        shutil.rmtree(root, ignore_errors=True)


def end_server(daemon: Daemon, addon_id: str) -> None:
    """Of an add-on: it outlives the daemon otherwise."""
    ran = json.loads((daemon.home / "addons" / addon_id / "run.json").read_text())
    for pid in (ran["supervisor"], ran["child"]):
        subprocess.run(["kill", "-KILL", str(pid)], check=False, capture_output=True)


def made(daemon: Daemon, app: str, *plans: str) -> list[str]:
    """The app with add-ons of these plans; their names."""
    assert daemon.call("POST", "/apps", {"name": app})[0] == 201
    names = []
    for plan in plans:
        status, addon = daemon.call("POST", f"/apps/{app}/addons", {"plan": {"name": plan}})
        assert status == 201, addon
        names.append(addon["name"])
    for name in names:
        wait_until(
            lambda name=name: daemon.call("GET", f"/apps/{app}/addons/{name}")[1]["state"] == "provisioned",
            90,
            f"{name} was not provisioned",
        )
    return names


@pytest.fixture
def shell(daemon: Daemon, tmp_path: Path) -> Shell:
    return shell_for(daemon, tmp_path / "user")


def sql(shell: Shell, app: str, words: str, *, program: str = "paas", ok: bool = True) -> str:
    return shell.run(program, "pg:psql", "-a", app, "-c", words, ok=ok)


def url_of(daemon: Daemon, app: str, name: str = "DATABASE_URL") -> str:
    return str(daemon.call("GET", f"/apps/{app}/config-vars")[1][name])


def test_paas(daemon: Daemon, shell: Shell) -> None:
    [name, other] = made(daemon, "stall", "heroku-postgresql:essential-0", "heroku-postgresql:essential-0")
    at = ("-a", "stall")
    shell.run("paas", "pg:wait", *at)
    said = shell.run("paas", "pg:info", *at)
    assert "DATABASE_URL" in said and name in said and "PG Version" in said and "Available" in said
    assert "/ 1.0 GB" in said and "(In compliance)" in said
    shown = json.loads(shell.run("paas", "pg:info", "--json", *at))
    assert {one["name"] for one in shown} == {name, other} and url_of(daemon, "stall") not in json.dumps(shown)

    sql(shell, "stall", "CREATE TABLE kept (v text); INSERT INTO kept VALUES ('one');")
    assert "one" in sql(shell, "stall", "SELECT v FROM kept;")
    sql(shell, "stall", "CREATE EXTENSION pg_stat_statements;")  # as `heroku pg:outliers` asks for
    assert "INSERT INTO kept" in sql(shell, "stall", "SELECT query FROM pg_stat_statements;")
    code, text = shell.attempt("paas", "pg:psql", *at, answer="SELECT v FROM kept;\nSELECT nothing;\n")
    assert code == 3 and "one" in text and "nothing" in text  # psql's own status
    assert shell.attempt("paas", "pg:psql", *at, "-c", "SELECT nothing;")[0] == 1
    script = shell.cwd / "more.sql"
    script.write_text("INSERT INTO kept VALUES ('two');\n")
    shell.run("paas", "pg:psql", *at, "-f", str(script))
    assert "pid" in shell.run("paas", "pg:ps", *at, "-v")
    shell.run("paas", "pg:kill", "999999", *at)
    shell.run("paas", "pg:killall", *at)

    said = shell.run("paas", "pg:credentials:url", *at)
    assert url_of(daemon, "stall").partition("?")[0] in said
    assert "default" in shell.run("paas", "pg:credentials", *at)

    shell.run("paas", "pg:backups:capture", *at)
    shell.run("paas", "pg:backups:download", *at, "-o", "kept.dump")
    assert (shell.cwd / "kept.dump").read_bytes()[:5] == b"PGDMP"
    sql(shell, "stall", "DROP TABLE kept;")
    assert "did not match" in shell.run("paas", "pg:backups:restore", *at, "--confirm", "stale", ok=False)
    shell.run("paas", "pg:backups:restore", "b001", *at, "--confirm", "stall")
    assert "two" in sql(shell, "stall", "SELECT v FROM kept;")
    shell.run("paas", "pg:copy", name, other, *at, "--confirm", "stall")
    assert "two" in shell.run("paas", "pg:psql", other, *at, "-c", "SELECT v FROM kept;")
    listed = shell.run("paas", "pg:backups", *at)
    assert all(one in listed for one in ("b001", "r002", "c003"))
    assert "SHA-256" in shell.run("paas", "pg:backups:info", "b001", *at)
    shell.run("paas", "pg:backups:schedule", *at, "--at", "02:00 Europe/Paris")
    assert "daily at 2:00 Europe/Paris" in shell.run("paas", "pg:backups:schedules", *at)
    shell.run("paas", "pg:backups:unschedule", *at)
    assert "No active" in shell.run("paas", "pg:backups:cancel", *at, ok=False)
    shell.run("paas", "pg:backups:delete", "b001", *at, "--confirm", "stall")

    shell.run("paas", "pg:promote", other, *at)
    assert "already promoted" in shell.run("paas", "pg:promote", other, *at, ok=False)
    [now] = json.loads(shell.run("paas", "pg:info", "DATABASE", "--json", *at))
    assert now["name"] == other
    shell.run("paas", "pg:reset", *at, "--confirm", "stall")
    assert "does not exist" in sql(shell, "stall", "SELECT v FROM kept;", ok=False)
    before = url_of(daemon, "stall")
    shell.run("paas", "pg:credentials:rotate", *at, "--confirm", "stall")
    assert url_of(daemon, "stall") != before
    assert lets_in(url_of(daemon, "stall")) and not lets_in(before)


def lets_in(url: str) -> bool:
    """Whether psql gets in with this URL, from this host."""
    words = ["psql", "-qAtX", url, "-c", "SELECT 1"]
    environment = {"PATH": os.environ["PATH"], "PGCONNECT_TIMEOUT": "5"}
    return subprocess.run(words, env=environment, capture_output=True, timeout=30, check=False).stdout.strip() == b"1"


def test_redis(daemon: Daemon, shell: Shell) -> None:
    [name] = made(daemon, "cache", "heroku-redis:mini")
    at = ("-a", "cache")
    assert name in shell.run("paas", "redis:info", *at)
    assert "OK" in shell.run("paas", "redis:cli", *at, answer="SET a 1\n")
    assert url_of(daemon, "cache", "REDIS_URL") in shell.run("paas", "redis:credentials", *at)


@pytest.mark.slow
@pytest.mark.heroku_cli
def test_the_official_cli(daemon: Daemon, shell: Shell) -> None:
    [name, other, redis] = made(
        daemon, "shop", "heroku-postgresql:essential-0", "heroku-postgresql:essential-0", "heroku-redis:mini"
    )
    at = ("-a", "shop")

    def heroku(*words: str, ok: bool = True) -> str:
        return shell.run("heroku", *words, *at, ok=ok)

    heroku("pg:wait")
    said = heroku("pg:info")
    assert "DATABASE_URL" in said and name in said and "PG Version" in said
    sql(shell, "shop", "CREATE TABLE kept (v text); INSERT INTO kept VALUES ('one');", program="heroku")
    assert "one" in sql(shell, "shop", "SELECT v FROM kept;", program="heroku")
    assert "pid" in heroku("pg:ps", "--verbose")
    assert "CREATE EXTENSION pg_stat_statements" in heroku("pg:outliers", ok=False)
    sql(shell, "shop", "CREATE EXTENSION pg_stat_statements;", program="heroku")
    sql(shell, "shop", "SELECT v FROM kept;", program="heroku")
    assert "FROM kept" in heroku("pg:outliers") and "FROM kept" in heroku("pg:calls")
    heroku("pg:kill", "999999")
    heroku("pg:killall")
    assert "default" in heroku("pg:credentials")
    assert url_of(daemon, "shop").partition("?")[0] in heroku("pg:credentials:url")

    heroku("pg:backups:capture")
    assert "b001" in heroku("pg:backups")
    assert "Completed" in heroku("pg:backups:info", "b001")
    assert "/dumps/" in heroku("pg:backups:url", "b001")
    heroku("pg:backups:download", "-o", "kept.dump")
    assert (shell.cwd / "kept.dump").read_bytes()[:5] == b"PGDMP"
    sql(shell, "shop", "DROP TABLE kept;", program="heroku")
    heroku("pg:backups:restore", "b001", "--confirm", "shop")
    assert "one" in sql(shell, "shop", "SELECT v FROM kept;", program="heroku")
    second = next(
        one["name"] for one in daemon.call("GET", "/apps/shop/addon-attachments")[1] if one["addon"]["name"] == other
    )
    heroku("pg:copy", "DATABASE", second, "--confirm", second.removeprefix("HEROKU_POSTGRESQL_"))
    heroku("pg:backups:schedule", "--at", "02:00 Europe/Paris")
    assert "Europe/Paris" in heroku("pg:backups:schedules")
    heroku("pg:backups:unschedule", "DATABASE_URL")
    heroku("pg:backups:delete", "b001", "--confirm", "shop")
    heroku("pg:promote", second)
    assert "one" in sql(shell, "shop", "SELECT v FROM kept;", program="heroku")
    heroku("pg:reset", "--confirm", "shop")
    assert "does not exist" in sql(shell, "shop", "SELECT v FROM kept;", program="heroku", ok=False)
    before = url_of(daemon, "shop")
    heroku("pg:credentials:rotate", "--confirm", "shop")
    assert lets_in(url_of(daemon, "shop")) and not lets_in(before)

    heroku("redis:wait")
    assert redis in heroku("redis:info")
    assert "redis://" in heroku("redis:credentials")
    heroku("redis:promote", redis)
    answered = shell.run("heroku", "redis:cli", *at, "--confirm", "shop", answer="PING\n")
    assert "PONG" in answered
