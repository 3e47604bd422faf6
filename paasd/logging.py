"""The daemon's own log: structlog to stderr, for people (console) or machines (JSON)."""

import logging
import sys
from typing import Literal

import structlog

NOT_HTTP = "aiohttp.http_exceptions"  # where the errors are defined that its parser raises


def configure(form: Literal["console", "json"]) -> None:
    """Once, at start. Libraries' warnings go the same way."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        # By default both forms would show the locals of a traceback, and locals hold secrets.
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        last: list[structlog.typing.Processor] = [
            structlog.processors.ExceptionRenderer(frames),
            structlog.processors.JSONRenderer(),
        ]
    else:
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s [%(levelname)s] %(message)s")
    logging.getLogger("aiohttp.server").addFilter(_without_what_was_sent)


def _without_what_was_sent(record: logging.LogRecord) -> bool:
    """Of a request that is no HTTP, one line: aiohttp quotes the header that is wrong, and a token may stand in it."""
    if record.exc_info and type(record.exc_info[1]).__module__ == NOT_HTTP:
        record.msg, record.levelno, record.levelname = "A request from %s was not HTTP", logging.WARNING, "WARNING"
        record.exc_info = record.exc_text = None
    return True
