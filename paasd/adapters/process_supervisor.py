"""The supervisor: one small process per dyno, in a session of its own, that outlives the daemon.

A fork of the zygote (process_zygote), of the standard library alone, and only what it needs. It holds the dyno's
output, its exit code (on disk before it ends) and its cgroups. What it is to do comes as JSON in file 0, which lies in
memory: no secret is ever in a file or an argv.

SIGTERM: pass it on to the command. SIGUSR1: kill all of it.
"""

import json
import marshal
import os
import select
import signal
import socket
import time
from typing import Any

from paasd.adapters.process_inside import DESCRIPTOR, become, prctl, read_file
from paasd.adapters.process_journal import Journal
from paasd.adapters.process_overlay import lay_over
from paasd.adapters.process_tree import (
    below,
    copy_tree,
    kill_cgroups,
    make_cgroups,
    processes,
    ran_out_of_memory,
    remove_cgroups,
    send,
    start_ticks,
    write,
)

CHUNK_BYTES = 64 * 1024
KILL_SECONDS = 10.0
DRAIN_SECONDS = 1.0
BEGIN_SECONDS = 5.0
LOOK_SECONDS = 0.005
OPEN_FILES = 256  # more than we ever have
PR_SET_CHILD_SUBREAPER = 36
BECOMES = ("user", "argv", "env", "cwd", "rlimits", "tty", "bare")  # the arguments of the last step
HEEDED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1)
IGNORED = (signal.SIGHUP, signal.SIGINT)


def main() -> int:
    """Exit status: 0 once the command has ended and how it did is on disk."""
    os.umask(0o077)
    launch = json.loads(read_file(0))
    os.open(os.devnull, os.O_RDWR)  # which is 0 again
    os.chdir(launch["directory"])
    return Supervisor(launch).run()


class Supervisor:
    """One command, from its start to its end. `launch` is what `process_dynos.launch` writes."""

    def __init__(self, launch: dict[str, Any]) -> None:
        self._launch = launch
        self._cgroups: list[dict[str, Any]] = launch["cgroups"]
        self._child = 0
        self._status: int | None = None
        self._journal: Journal | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._followers: list[socket.socket] = []
        self._asked: set[int] = set()

    def run(self) -> int:
        """Until the command has ended."""
        for number in HEEDED:
            signal.signal(number, lambda number, _: self._asked.add(number))
        for number in IGNORED:
            signal.signal(number, signal.SIG_IGN)
        wakeup, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        try:
            output = self._start()
        except OSError as error:
            os.write(1, json.dumps({"error": f"{error.strerror}: {error.filename or 'the command'}"}).encode())
            remove_cgroups(self._cgroups)
            return 1
        self._serve(wakeup, output)
        self._finish(output)
        return 0

    def _start(self) -> int:
        """The command; what it prints can be read from what this returns (-1: others have it)."""
        launch = self._launch
        if launch["subreaper"]:
            prctl(PR_SET_CHILD_SUBREAPER, 1)
        make_cgroups(self._cgroups)
        if launch["copy"]:
            source, target = launch["copy"]
            user = launch["final"]["user"]
            if not launch["overlay"] or not lay_over(source, target, user):
                os.rmdir(target)  # nobody is in the one that we make, who could lead elsewhere what we write there
                os.mkdir(target, 0o700)
                copy_tree(source, target, *(user or (None, None)))
                os.chown(target, *(user or (-1, -1)))
        output, stdio = -1, [3, 4, 5]
        if launch["stdio"] == "log":
            self._journal = Journal()
            self._listener.bind("wake")
            self._listener.listen(64)
            self._listener.setblocking(False)
            output, writer = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(output, False)
            stdio = [os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), writer, writer]
        self._child = os.fork()
        if self._child == 0:
            self._be_child(stdio)
        for descriptor in {*stdio, *([3, 4, 5] if launch["stdio"] != "log" else [])}:
            os.close(descriptor)
        now = time.time()
        ran = {"supervisor": os.getpid(), "ticks": start_ticks(os.getpid()), "child": self._child, "started_at": now}
        save("run.json", ran)
        try:
            os.write(1, json.dumps(ran).encode())
        except BrokenPipeError:
            pass  # the daemon was killed a moment ago: the next one finds run.json
        os.dup2(0, 1)
        return output

    def _be_child(self, stdio: list[int]) -> None:
        launch = self._launch
        try:
            for number in (*HEEDED, *IGNORED):
                signal.signal(number, signal.SIG_DFL)
            if not launch["final"]["tty"]:
                os.setsid()  # else the last step does, which takes the terminal
            for cgroup in [*(each["path"] for each in self._cgroups), *launch["joins"]]:
                write(f"{cgroup}/cgroup.procs", "0")
            final = [launch["final"][name] for name in BECOMES]
            memory = os.memfd_create("inside", 0)
            content = marshal.dumps(final)
            while content:
                content = content[os.write(memory, content) :]
            for wanted, descriptor in enumerate([os.dup(each) for each in stdio]):
                os.dup2(descriptor, wanted)
            if not launch["argv"]:  # no sandbox: we are there
                os.closerange(3, OPEN_FILES)
                become(*final)
            os.dup2(memory, DESCRIPTOR)
            os.closerange(3, DESCRIPTOR)
            os.closerange(DESCRIPTOR + 1, OPEN_FILES)
            os.execve(launch["argv"][0], launch["argv"], {"PATH": "/usr/bin:/bin"})
        except BaseException as error:
            os.write(2, f"paasd: the command can't be started: {error}\n".encode())
        finally:
            os._exit(127)

    def _serve(self, wakeup: int, output: int) -> None:
        """Until the command has ended: its lines, its signals, and whoever wants to be told of new lines."""
        listener, poll = self._listener, select.poll()
        poll.register(wakeup, select.POLLIN)
        if self._journal is not None:
            poll.register(listener, select.POLLIN)
            poll.register(output, select.POLLIN)
        self._heed()  # what was asked before it could wake us
        while self._status is None:
            for descriptor, _ in poll.poll():
                if descriptor == wakeup:
                    os.read(wakeup, 512)
                elif descriptor == output and not self._copy(output):
                    poll.unregister(output)  # it closed its output, and goes on
                elif descriptor == listener.fileno():
                    self._followers.append(listener.accept()[0])
                    self._followers[-1].setblocking(False)
            self._heed()

    def _heed(self) -> None:
        asked, self._asked = self._asked, set()
        if signal.SIGUSR1 in asked:
            self._kill()
        elif signal.SIGTERM in asked:
            self._terminate()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._child:
                self._status = status

    def _copy(self, output: int) -> bool:
        """One piece of output; False at its end."""
        try:
            data = os.read(output, CHUNK_BYTES)
        except BlockingIOError:
            return True
        if not data or self._journal is None:
            return False
        self._journal.add(data)
        for follower in list(self._followers):
            try:
                follower.send(b".")
            except BlockingIOError:
                continue  # told, and has not looked yet
            except OSError:
                self._followers.remove(follower)
                follower.close()
        return True

    def _terminate(self) -> None:
        """SIGTERM, or what it is stopped by, to the command's whole process group: also to what a shell runs."""
        among, spared = processes(), {os.getpid()}
        leader = self._child
        if self._launch["sandboxed"]:
            deadline = time.monotonic() + BEGIN_SECONDS
            inner, leader = within(self._child, among)
            while leader == 0:  # bubblewrap is not that far yet
                if time.monotonic() > deadline or self._child not in among:
                    return self._kill()
                time.sleep(LOOK_SECONDS)
                among = processes()
                inner, leader = within(self._child, among)
            # bubblewrap's own two would take all the others with them at once
            spared |= {self._child, inner}
        group = among[leader][1] if leader in among else leader
        for pid, (_, theirs, _) in among.items():
            if theirs == group and pid not in spared:
                send(pid, self._launch.get("stop", signal.SIGTERM))
        return None

    def _kill(self) -> None:
        send(self._child, signal.SIGKILL)
        kill_cgroups(self._cgroups)
        deadline = time.monotonic() + KILL_SECONDS
        while (left := below(os.getpid(), processes())) and time.monotonic() < deadline:
            for pid in left:
                send(pid, signal.SIGKILL)
            time.sleep(LOOK_SECONDS)

    def _finish(self, output: int) -> None:
        """Its tree goes with it; then its last lines and how it ended, on disk before we end."""
        oom = ran_out_of_memory(self._cgroups)
        self._kill()
        if self._journal is not None:
            deadline = time.monotonic() + DRAIN_SECONDS
            os.set_blocking(output, False)
            while select.select([output], [], [], max(0.0, deadline - time.monotonic()))[0] and self._copy(output):
                pass
            self._journal.end()
        code = os.waitstatus_to_exitcode(self._status or 0)
        code = 128 - code if code < 0 else code
        save("exit.json", {"code": code, "oom": oom and code == 128 + signal.SIGKILL, "at": time.time()})
        remove_cgroups(self._cgroups)


def within(outer: int, among: dict[int, tuple[int, int, str]]) -> tuple[int, int]:
    """(the first process in a sandbox, its command), by the process that made the sandbox; 0 for what is not there."""
    inner = next((pid for pid, (parent, _, state) in among.items() if parent == outer and state != "Z"), 0)
    leader = next((pid for pid, (parent, _, _) in among.items() if inner and parent == inner), 0)
    return inner, leader


def save(name: str, content: dict[str, Any]) -> None:
    """Aside, then renamed: a reader sees the whole of it or nothing."""
    with open(f"{name}.new", "w") as file:
        json.dump(content, file)
    os.replace(f"{name}.new", name)
