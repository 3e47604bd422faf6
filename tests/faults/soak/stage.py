"""What the threads of a soak share: the daemon, its apps, who was killed when, and what did not go as promised."""

import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.shop import Shop
from tests.daemon import Shell, shell_for
from tests.faults.history import RecordedDaemon
from tests.faults.soak.judge import Kill, Life, Victim
from tests.faults.soak.load import Load

BOOTING_SECONDS = 10.0  # a daemon that answers may still be mending what the one before it left


@dataclass
class Stage:
    """Shared; what changes is changed under `lock`."""

    daemon: RecordedDaemon
    load: Load
    first: Shell
    root: Path
    lives: dict[str, Life] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    unanswered: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        with self.lock:
            self.done[what] = self.done.get(what, 0) + 1

    def complain(self, sentence: str) -> None:
        """A promise that was broken."""
        with self.lock:
            self.wrong.append(sentence)
        print(f"  BROKEN  {sentence}", flush=True)

    def killed(self, kill: Kill) -> None:
        with self.lock:
            self.kills.append(kill)

    def known(self, before: Kill, *after: Kill) -> None:
        """What a kill that was noted has turned out to be; nothing where there was none."""
        with self.lock:
            self.kills[:] = [*(kill for kill in self.kills if kill is not before), *after]

    def daemon_away(self, began: float, ended: float) -> bool:
        """Whether between these times there was a moment without a daemon, or with one that had just come up."""
        with self.lock:
            daemons = [kill for kill in self.kills if kill.victim in (Victim.DAEMON, Victim.TAKEOVER)]
        return any(kill.at <= ended and began <= kill.back + BOOTING_SECONDS for kill in daemons)

    def dyno_killed(self, app: str, began: float) -> bool:
        """Whether one of the app's was killed since."""
        with self.lock:
            return any(kill.app == app and kill.at >= began for kill in self.kills)


def first_shell(daemon: RecordedDaemon, root: Path) -> Shell:
    """A user whose environment all the others share: `paas env` is asked once."""
    return shell_for(daemon, root / "first")


def new_shop(stage: Stage, name: str) -> Shop:
    """A repository for an app; nothing is made on the daemon yet."""
    directory = stage.root / name
    directory.mkdir()
    shell = Shell(stage.first.home, directory, stage.first.env)
    shell.run("git", "init", "--quiet", "--initial-branch=main")
    source = Path(__file__).parent.parent.parent.parent / "examples" / "hello"
    for file in source.iterdir():
        if file.is_file():
            (directory / file.name).write_bytes(file.read_bytes())
    return Shop(stage.daemon, shell, name)


def dyno_processes(stage: Stage) -> list[tuple[str, int, float]]:
    """(app, process id, seconds it runs) of each running web dyno, by Docker."""
    home = (stage.daemon.home / "id").read_text().strip()
    ids = run("docker", "ps", "-q", "--filter", f"label=paasd.home={home}").split()
    if not ids:
        return []
    form = '{{index .Config.Labels "paasd.app"}} {{.State.Pid}}'
    done = subprocess.run(["docker", "inspect", "--format", form, *ids], capture_output=True, text=True, check=False)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [(row[0], int(row[1]), age(int(row[1]))) for row in rows if len(row) == 2 and row[1] != "0"]


def age(process: int) -> float:
    """Seconds since it was started; 0 when it is gone."""
    try:
        started = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]) / 100
    except OSError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
