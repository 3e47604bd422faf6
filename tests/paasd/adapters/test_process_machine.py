"""What this machine has for builds."""

import shutil
import subprocess

import pytest

from paasd.adapters.process_machine import not_installed, python, stacks


def test_the_machine_is_a_stack_with_the_python_that_environments_are_made_of() -> None:
    """Bites: a stack of Docker's told instead, and an app gets another Python than its build log says."""
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.run([python(), "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
    found = stacks()
    assert [(stack.name, stack.python) for stack in found.stacks] == [("machine", version)]
    assert found.default.name == "machine"
    assert all(major.isdigit() and full.startswith(f"{major}.") for major, full in found.nodes.items())


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="this machine's packages are not Debian's")
def test_packages_that_the_machine_has_not_are_named() -> None:
    """Bites: all of an Aptfile told missing, or none; an architecture or a version taken for another package."""
    arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    there = ["libc6", f"libc6:{arch}", "dpkg", "dpkg=1.0"]
    assert not_installed([*there, "no-such-package", "libc6:riscv128", "no-such-package"]) == [
        "no-such-package",
        "libc6:riscv128",
    ]
    assert not_installed([]) == []


def test_where_nobody_can_be_asked_none_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert not_installed(["libc6"]) == ["libc6"]
