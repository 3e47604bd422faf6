"""What is set arrives where it is obeyed."""

from pathlib import Path

from paasd.domain.disk import MEGABYTE
from paasd.rules import boot_rules, build_rules, disk_rules
from paasd.settings import BuildSettings, DiskSettings, DynoSettings, Settings


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
