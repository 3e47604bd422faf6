"""What a supervisor is told: the command, its environment and bounds, its user, and what it sees of this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paasd.adapters.process_sandbox import Isolation, View, cgroups, rlimits, wrap
from paasd.domain.dyno import Limits, in_shell

BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
TRUSTING = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
SHELL = "/bin/sh"


@dataclass(frozen=True, slots=True)
class Runner:
    """For one home, on one machine."""

    isolation: Isolation
    home: str
    place: Path  # the home's folder, which nobody may see

    def cgroups(self, name: str, limits: Limits) -> list[dict[str, Any]]:
        """A dyno's, or a build's."""
        return cgroups(self.isolation, self.home, name, limits)

    def launch(
        self,
        directory: Path,
        command: str,
        *,
        env: Mapping[str, str],
        cwd: Path,
        view: View,
        user: tuple[int, int] | None,
        limits: Limits,
        stdio: str = "log",
        tty: bool = False,
        copy: tuple[Path, Path] | None = None,
    ) -> dict[str, Any]:
        """For `process_launch.launch`: a shell command. `directory` is the supervisor's, and its name the cgroups'.

        `stdio`: "log" (the supervisor keeps its lines) or "given". `copy`: a folder that is shown in another, or put
        into it, before the start.
        """
        bare = self.isolation.bwrap is None
        return {
            "directory": str(directory),
            "copy": [str(path) for path in copy] if copy else None,
            "overlay": self.isolation.root,
            "cgroups": self.cgroups(directory.name, limits),
            "joins": [],
            "subreaper": bare,
            "sandboxed": not bare,
            "stdio": stdio,
            "argv": wrap(self.isolation, view, self.place),
            "final": {
                "user": user,
                "argv": [SHELL, "-c", in_shell(command)],
                "env": {**({"TMPDIR": str(view.tmp)} if bare and view.tmp else {}), **env},
                "cwd": str(cwd),
                "rlimits": rlimits(self.isolation, limits),
                "tty": tty,
                "bare": bare,
            },
        }


def environment(
    deps: Path | None, path: Sequence[str], env: Mapping[str, str], home: Path, tools: Sequence[Path] = ()
) -> dict[str, str]:
    """What every command of a slug finds: the machine's own, then the recipe's. `{deps}` is where they lie; `tools` are
    folders of shared programs."""
    place = str(deps) if deps is not None else ""
    own = [*(str(deps / each) for each in path if deps is not None), *map(str, tools)]
    found = {"PATH": ":".join([*own, BASE_PATH]), "HOME": str(home), "LANG": "C.UTF-8"}
    if Path(AUTHORITIES).exists():
        found |= dict.fromkeys(TRUSTING, AUTHORITIES)
    return found | {name: value.replace("{deps}", place) for name, value in env.items()}
