"""`python -m router`: a parent that holds the sockets or, by the parent's word, one of the workers that serve."""

import sys
from datetime import UTC, datetime

from router import held
from router.options import CannotStart, Options, parse
from router.parent import Parent
from router.renewal import Holdings, Reign, take_up
from router.workers import adopt


def main() -> None:
    """Run the router until it is told to stop; exit code 1 and a sentence when it can't start."""
    options = parse(sys.argv[1:])
    if options.worker is not None:
        number, *descriptors = map(int, options.worker.split(","))
        # A worker's libraries are not the parent's: that stays small, and can't fall by them.
        from router import worker

        worker.run(options, number, descriptors)
        return
    try:
        if options.resume is not None:
            Parent(options, _arguments(), *take_up(int(options.resume))).run(renewed=True)
        else:
            Parent(options, _arguments(), *_hold(options)).run(renewed=False)
    except CannotStart as error:
        sys.exit(f"router: {error}")


def _hold(options: Options) -> tuple[Holdings, Reign]:
    """All that a router needs, taken over from workers that outlived their parent where there are any."""
    lock = held.hold_directory(options.directory)
    found = adopt(options.directory)
    kept = found.listener is not None and options.listen == found.listener.getsockname()[:2]
    listener = found.listener if kept and found.listener is not None else held.listen(options.listen)
    control = found.control or held.listen_for_control(options.directory)
    user = held.become(options.user, options.directory, options.log)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    reign = Reign(0, began, found.leader, found.highest, tuple(found.workers))
    return Holdings(lock, listener, control, user), reign


def _arguments() -> list[str]:
    """Our command line as it was given: what we add for a renewed image comes last."""
    given = sys.argv[1:]
    return given[: given.index("--resume")] if "--resume" in given else given


if __name__ == "__main__":
    main()
