"""What is set arrives where it is obeyed."""

from pathlib import Path

import pytest

from paasd.domain.disk import MEGABYTE
from paasd.rules import boot_rules, build_rules, catalogue, disk_rules
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


def test_an_add_on_service_that_there_is_not_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "paasd.yaml"
    file.write_text("addons: {services: {mysql: {}}}\n")
    with pytest.raises(SettingsError, match=r"addons.services.mysql: known are heroku-postgresql"):
        catalogue(load({"home": str(tmp_path)}, file), "container")
