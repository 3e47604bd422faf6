"""What this machine has for builds."""

import subprocess

from paasd.adapters.process_machine import python, stacks


def test_the_machine_is_a_stack_with_the_python_that_environments_are_made_of() -> None:
    """Bites: a stack of Docker's told instead, and an app gets another Python than its build log says."""
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = subprocess.run([python(), "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
    found = stacks()
    assert [(stack.name, stack.python) for stack in found.stacks] == [("machine", version)]
    assert found.default.name == "machine"
    assert all(major.isdigit() and full.startswith(f"{major}.") for major, full in found.nodes.items())
