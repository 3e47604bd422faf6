"""What is set arrives where it is obeyed."""

import json
from pathlib import Path

import pytest

from paasd.domain.disk import MEGABYTE
from paasd.rules import boot_rules, build_rules, catalogue, disk_rules, partners
from paasd.settings import BuildSettings, DiskSettings, DynoSettings, Settings, SettingsError, load


def test_settings_reach_the_rules(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path,
        search_path="",
        router="127.0.0.1:8081",
        domain="apps.example",
        build=BuildSettings(timeout=7, parallel=3),
        dynos=DynoSettings(memory_mb=64, cpus=0.5, pids=9, open_files=99, port=3000, boot_timeout=4),
        disk=DiskSettings(high=70, full=95, build_mb=3, keep_releases=5),
    )
    boot, build = boot_rules(settings), build_rules(settings)
    assert (boot.port, boot.timeout) == (3000, 4)
    assert (boot.limits.memory, boot.limits.cpus, boot.limits.pids, boot.limits.open_files) == (64 << 20, 0.5, 9, 99)
    sizes = {name: (size.memory >> 20, size.cpus, size.pids) for name, size in boot.sizes.items()}
    assert (sizes["Standard-1X"], sizes["Standard-2X"]) == ((64, 0.5, 9), (1024, None, 9))
    assert (build.timeout, build.parallel) == (7, 3)
    assert set(build.sizes) == set(boot.sizes)
    assert build.web_url.format(app="shop") == "http://shop.apps.example:8081/"
    disk = disk_rules(settings)
    assert (disk.high, disk.full, disk.build_bytes, disk.keep_releases) == (70, 95, 3 * MEGABYTE, 5)


def test_add_ons_are_had_from_where_the_settings_say(tmp_path: Path) -> None:
    file = tmp_path / "paasd.yaml"
    file.write_text(
        "addons:\n  services:\n    heroku-redis:\n      provider: shared\n"
        "      plans: {huge: {memory_mb: 900, default: true}, mini: {memory_mb: 30}}\n"
    )
    found = catalogue(load({"home": str(tmp_path)}, file), "container")
    assert found.service("postgres").provider == "container"
    redis = found.service("redis")
    assert redis.provider == "shared"
    plans = {plan.name: plan for plan in redis.plans}
    assert [name for name, plan in plans.items() if plan.default] == ["heroku-redis:huge"]
    huge, mini = plans["heroku-redis:huge"], plans["heroku-redis:mini"]
    assert (huge.memory, huge.disk, huge.connections, mini.memory) == (900 * MEGABYTE, None, None, 30 * MEGABYTE)


def test_partners_are_services_by_their_manifests(tmp_path: Path) -> None:
    """Named from the home, or in whole; their plans in place of the manifest's."""
    given = json.loads((Path(__file__).parents[2] / "examples/addon-partner/addon-manifest.json").read_text())
    (tmp_path / "keeper.json").write_text(json.dumps(given))
    (tmp_path / "acme.json").write_text(json.dumps({**given, "id": "acme"}).replace("KEEPER", "ACME"))
    file = tmp_path / "paasd.yaml"
    file.write_text(
        f"addons: {{partners: [keeper.json, {{manifest: {tmp_path}/acme.json, plans: [big], client_secret: s}}]}}\n"
    )
    settings = load({"home": str(tmp_path)}, file)
    known = catalogue(settings, "container")
    keeper, acme = known.service("keeper"), known.service("acme")
    assert (keeper.provider, keeper.variable, keeper.suffixes) == ("partner:keeper", "KEEPER", ("URL", "TOKEN"))
    assert [plan.name for plan in keeper.plans] == ["keeper:small", "keeper:large"]
    assert ([plan.name for plan in acme.plans], acme.variable) == (["acme:big"], "ACME")
    assert [one.secret for one in partners(settings)] == [given["api"]["password"], "s"]
    assert "client_secret" not in repr(settings.addons.partners)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"can't be read \(No such file"),
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ('{"id": "acme", "api": {"password": "s3cret"}}', "api.production must be"),
        ('{"id": "heroku-redis", "api": 7}', "api must be"),
    ],
)
def test_a_manifest_that_is_none_is_a_sentence_without_secrets(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "acme.json").write_text(text)
    file = tmp_path / "paasd.yaml"
    file.write_text("addons: {partners: [acme.json]}\n")
    with pytest.raises(SettingsError, match=words) as caught:
        catalogue(load({"home": str(tmp_path)}, file), "container")
    assert "s3cret" not in str(caught.value)


def test_two_services_of_one_name_are_refused(tmp_path: Path) -> None:
    given = (Path(__file__).parents[2] / "examples/addon-partner/addon-manifest.json").read_text()
    (tmp_path / "a.json").write_text(given)
    file = tmp_path / "paasd.yaml"
    file.write_text("addons: {partners: [a.json, a.json]}\n")
    with pytest.raises(SettingsError, match="'keeper', a service that there is already"):
        catalogue(load({"home": str(tmp_path)}, file), "container")
    (tmp_path / "a.json").write_text(given.replace('"keeper"', '"redis"'))
    with pytest.raises(SettingsError, match="'redis', a service that there is already"):
        catalogue(load({"home": str(tmp_path)}, file), "container")


def test_an_add_on_service_that_there_is_not_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "paasd.yaml"
    file.write_text("addons: {services: {mysql: {}}}\n")
    with pytest.raises(SettingsError, match=r"addons.services.mysql: known are heroku-postgresql"):
        catalogue(load({"home": str(tmp_path)}, file), "container")
