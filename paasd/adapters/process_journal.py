"""What a dyno prints, as its supervisor keeps it: lines in files, each behind its time.

The supervisor runs it in a bare interpreter: the standard library alone, and only what it needs.
"""

import os
import time

LINE_BYTES = 256 * 1024
LOG_BYTES = 5 * 1024 * 1024
LOG_FILES = 3


class Journal:
    """The dyno's lines in `log`, each behind its microseconds since 1970, which grow from line to line.

    A full file is renamed `log.1`, and so on; the oldest goes. A disk that is full loses lines, and never the dyno.
    """

    def __init__(self) -> None:
        self._file = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size
        self._last = 0
        self._tail = b""

    def add(self, data: bytes) -> None:
        """What came of its output; whole lines are written."""
        *lines, self._tail = (self._tail + data).split(b"\n")
        while len(self._tail) >= LINE_BYTES:
            lines.append(self._tail[:LINE_BYTES])
            self._tail = self._tail[LINE_BYTES:]
        if lines:
            self._write(b"".join(self._stamped(line) for line in lines))

    def end(self) -> None:
        """Its last line may have no end of its own."""
        if self._tail:
            self._write(self._stamped(self._tail))
        os.close(self._file)

    def _stamped(self, line: bytes) -> bytes:
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return b"%d %s\n" % (self._last, line)

    def _write(self, data: bytes) -> None:
        try:
            if self._size > LOG_BYTES:
                self._turn_over()
            while data:
                written = os.write(self._file, data)
                self._size += written
                data = data[written:]
        except OSError:
            pass

    def _turn_over(self) -> None:
        for number in range(LOG_FILES - 1, 0, -1):
            before = f"log.{number - 1}" if number > 1 else "log"
            if os.path.exists(before):
                os.replace(before, f"log.{number}")
        os.close(self._file)
        self._file = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
