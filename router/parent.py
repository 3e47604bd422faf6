"""The parent: it holds the sockets, starts the workers, replaces the dead ones, and serves nothing itself.

So that it never falls with a worker, it runs no request, no parser and no library: the standard one only, without
asyncio. That also pays for it: about 13 MiB resident, where a parent with aiohttp would need 40. Workers are executed,
not forked from a warm copy: an upgrade must load the code that is installed now. Without a parent they serve on; the
next one with the same directory finds them, takes the sockets over from them and replaces them.
"""

import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from router.channel import Frame, Kind
from router.options import CannotStart, Options
from router.relay import Relay
from router.renewal import Holdings, Reign, execute_anew
from router.wakeups import Wakeups
from router.workers import State, Worker, spawn

_START_SECONDS = 15.0
_SWITCH_SECONDS = 10.0
_END_MARGIN = 5.0
_LONGEST_PAUSE = 5.0

Asker = tuple[int, int]  # a worker's number and its ticket


class Phase(StrEnum):
    """BOOTING until the first generation serves; STOPPING is for good."""

    BOOTING = "booting"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(slots=True)
class _Upgrade:
    """Fresh workers on their way. `switching` once all of them serve: from there on it goes forward only."""

    generation: int
    askers: list[Asker]
    switching: bool = False


class Parent:
    """One router's supervision. `arguments` is the command line that workers are started with."""

    def __init__(self, options: Options, arguments: list[str], holdings: Holdings, reign: Reign) -> None:
        self._patience = options.patience
        self._count = options.workers or len(os.sched_getaffinity(0))
        self._arguments = arguments
        self._holdings = holdings
        self._relay = Relay(self._heard, self._lost)
        self._wakeups = Wakeups()
        self._generation, self._began, self._highest = reign.generation, reign.began, reign.highest
        for worker in reign.workers:
            self._relay.add(worker)
        self._relay.leader = reign.leader
        self._failures = 0
        self._upgrade: _Upgrade | None = None
        self._waiting: list[Asker | None] = []
        self._renew_due = False
        self._complaint = ""
        self._phase = Phase.BOOTING

    def run(self, *, renewed: bool) -> None:
        """Supervise until stopped: from a boot on, or on from where our old image was. Raises CannotStart."""
        self._wakeups.listen()
        self._relay.watch(self._wakeups.descriptor)
        if renewed:
            self._phase = Phase.RUNNING
            for worker in self._relay.in_state(State.DRAINING):
                self._end_in_time(worker)
            self._fill()
            self._appoint()
        else:
            self._begin_upgrade([])
        while self._phase is not Phase.STOPPING or self._relay.workers:
            self._relay.wait(self._wakeups.until_timer())
            self._wakeups.run_due()
            self._obey_signals()
            if self._renew_due and self._may_renew:
                self._renew()
        if self._complaint:
            raise CannotStart(self._complaint)

    @property
    def _may_renew(self) -> bool:
        """Whether all there is to know is in a Reign: no upgrade's askers, no word half said, no worker half there."""
        starting = self._relay.in_state(State.STARTING, State.OPENING)
        return self._upgrade is None and self._relay.quiet and not starting

    def _obey_signals(self) -> None:
        if self._wakeups.stop:
            self._stop()
        if self._wakeups.hang_up:
            self._wakeups.hang_up = False
            self._ask_upgrade(None)

    # What workers say.

    def _heard(self, worker: Worker, frame: Frame) -> None:
        match frame.kind:
            case Kind.READY:
                worker.ready = True
                self._let_serve(worker)
            case Kind.SERVES:
                worker.state = State.SERVING
                self._failures = 0
                self._look_at_leadership()
            case Kind.RESIGNED:
                self._relay.leader = None if self._relay.leader == worker.number else self._relay.leader
                self._look_at_leadership()
            case Kind.LEADS:
                self._finish_upgrade(worker)
            case Kind.FAILED:
                worker.complaint = frame.payload.decode(errors="replace")
            case Kind.UPGRADE:
                self._ask_upgrade((worker.number, frame.ticket))
            case Kind.SHUTDOWN:
                self._stop()
            case _:
                pass  # a newer worker's word that this parent does not know yet

    def _lost(self, worker: Worker) -> None:
        if self._phase is Phase.STOPPING:
            return
        if self._upgrade is not None and worker.generation == self._upgrade.generation:
            self._fail_upgrade(worker.complaint or "A new worker ended before it served: its error output says why.")
        elif worker.state in (State.STARTING, State.OPENING):
            self._say(worker.complaint or f"Worker {worker.pid} ended before it served: another is started.")
            self._failures += 1
            self._wakeups.after(min(0.1 * 2**self._failures, _LONGEST_PAUSE), self._fill)
        elif worker.state is State.SERVING:
            self._say(f"Worker {worker.pid} ended: another is started.")
            self._fill()
        self._look_at_leadership()

    # Workers enough, one of them leading.

    def _fill(self) -> None:
        """As many workers of the generation in force as there should be; an upgrade under way brings its own."""
        if self._upgrade is None and self._phase is Phase.RUNNING:
            there = [worker for worker in self._of(self._generation) if worker.state is not State.DRAINING]
            for _ in range(self._count - len(there)):
                self._start_worker(self._generation)

    def _start_worker(self, generation: int) -> None:
        self._highest += 1
        worker = spawn(self._highest, generation, self._holdings.listener, self._holdings.control, self._arguments)
        self._relay.add(worker)
        self._wakeups.after(_START_SECONDS, lambda: self._give_up_on(worker))

    def _give_up_on(self, worker: Worker) -> None:
        if worker.number in self._relay.workers and worker.state in (State.STARTING, State.OPENING):
            worker.complaint = f"A new worker did not serve within {_START_SECONDS:g} seconds."
            worker.kill()

    def _let_serve(self, worker: Worker) -> None:
        upgrade = self._upgrade
        if upgrade is None or worker.generation != upgrade.generation:
            self._open(worker)
            return
        fresh = self._of(upgrade.generation)
        if len(fresh) == self._count and all(each.ready for each in fresh):
            for each in fresh:
                self._open(each)

    def _open(self, worker: Worker) -> None:
        if worker.state is State.STARTING:
            worker.state = State.OPENING
            self._relay.tell(worker, Kind.SERVE)

    def _look_at_leadership(self) -> None:
        upgrade = self._upgrade
        if upgrade is not None and not upgrade.switching:
            fresh = self._of(upgrade.generation)
            if len(fresh) == self._count and all(worker.state is State.SERVING for worker in fresh):
                upgrade.switching = True
                self._have_leader_resign()
        self._appoint()

    def _have_leader_resign(self) -> None:
        leader = None if self._relay.leader is None else self._relay.workers[self._relay.leader]
        if leader is not None:
            self._relay.tell(leader, Kind.RESIGN)
            self._wakeups.after(_SWITCH_SECONDS, lambda: leader.kill() if self._relay.leader == leader.number else None)

    def _appoint(self) -> None:
        """Give the control socket to a worker, where none has it: of the newest generation that all serve.

        A worker of a generation that does not all serve yet never leads: it would have to let its followers go again.
        """
        upgrade = self._upgrade
        switching = upgrade if upgrade is not None and upgrade.switching else None
        coming = upgrade.generation if upgrade is not None and switching is None else None
        serving = [worker for worker in self._relay.in_state(State.SERVING) if worker.generation != coming]
        if self._relay.leader is not None or not serving:
            return
        wanted = switching.generation if switching is not None else self._generation
        leader = min(serving, key=lambda each: (each.generation != wanted, each.number))
        self._relay.leader = leader.number
        began = _now() if switching is not None else self._began
        about = {"pid": os.getpid(), "started_at": began, "user": self._holdings.user, "workers": self._count}
        self._relay.tell(leader, Kind.LEAD, json.dumps(about).encode())
        self._relay.lines_to(leader)

    def _of(self, generation: int) -> list[Worker]:
        return [worker for worker in self._relay.workers.values() if worker.generation == generation]

    # Upgrade: fresh workers first, the old ones' end only then.

    def _ask_upgrade(self, asker: Asker | None) -> None:
        """Start one, or another one after the one under way: that may have loaded older code than is there now."""
        self._waiting.append(asker)
        if self._upgrade is None:
            self._begin_waiting()

    def _begin_waiting(self) -> None:
        if self._waiting and self._phase is Phase.RUNNING:
            askers = [asker for asker in self._waiting if asker is not None]
            self._waiting.clear()
            self._begin_upgrade(askers)

    def _begin_upgrade(self, askers: list[Asker]) -> None:
        newest = max([self._generation, *(worker.generation for worker in self._relay.workers.values())])
        self._upgrade = _Upgrade(newest + 1, askers)
        for _ in range(self._count):
            self._start_worker(newest + 1)

    def _finish_upgrade(self, leader: Worker) -> None:
        upgrade = self._upgrade
        if upgrade is None or leader.generation != upgrade.generation:
            return
        self._generation, self._began, self._upgrade = upgrade.generation, _now(), None
        for worker in list(self._relay.workers.values()):
            if worker.generation != upgrade.generation:
                self._drain(worker)
        self._renew_due = self._phase is Phase.RUNNING
        self._phase = Phase.RUNNING
        self._answer(upgrade.askers, "")
        self._begin_waiting()

    def _drain(self, worker: Worker) -> None:
        if worker.state in (State.STARTING, State.OPENING):
            worker.state = State.DRAINING
            worker.kill()
        elif worker.state is State.SERVING:
            worker.state = State.DRAINING
            self._relay.tell(worker, Kind.DRAIN)
            self._end_in_time(worker)

    def _end_in_time(self, worker: Worker) -> None:
        def end() -> None:
            if worker.number in self._relay.workers:
                worker.kill()

        self._wakeups.after(self._patience.longest + _END_MARGIN, end)

    def _fail_upgrade(self, reason: str) -> None:
        upgrade = self._upgrade
        assert upgrade is not None
        if upgrade.switching:
            # The new code did come up: a worker that dies now is one to replace, not a reason to go back.
            self._wakeups.after(0.1, lambda: self._start_worker(upgrade.generation))
            return
        self._upgrade = None
        for worker in self._of(upgrade.generation):
            worker.state = State.DRAINING
            worker.kill()
        if self._phase is Phase.BOOTING:
            self._complaint, self._phase = reason, Phase.STOPPING
            self._relay.release(self._of(self._generation))
            return
        self._say(f"The upgrade failed and the old workers serve on: {reason}")
        self._answer(upgrade.askers, f"The old workers serve on: {reason}")
        self._fill()
        self._begin_waiting()

    def _answer(self, askers: list[Asker], reason: str) -> None:
        for number, ticket in askers:
            if (worker := self._relay.workers.get(number)) is not None:
                self._relay.tell(worker, Kind.UPGRADED, reason.encode(), ticket=ticket)

    # The end, and our own renewal.

    def _stop(self) -> None:
        if self._phase is Phase.STOPPING:
            return
        self._phase = Phase.STOPPING
        self._holdings.listener.close()
        for worker in list(self._relay.workers.values()):
            if worker.state is State.STARTING:
                worker.kill()
            else:
                self._relay.tell(worker, Kind.STOP)
                self._end_in_time(worker)

    def _renew(self) -> None:
        """Execute the installed code in our own place: same process, same children, same sockets."""
        self._renew_due = False
        workers = tuple(self._relay.workers.values())
        reign = Reign(self._generation, self._began, self._relay.leader, self._highest, workers)
        try:
            execute_anew(self._arguments, self._holdings, reign)
        except OSError as error:
            self._say(f"The new workers serve, but the parent could not be renewed ({error}): restart it in time.")

    def _say(self, sentence: str) -> None:
        sys.stderr.write(f"router: {sentence}\n")
        sys.stderr.flush()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
