"""What can go wrong between two readers of HTTP, numbered, and the cases that prove each.

A case is a name in REFUSED, CARRIED (hazards.py) or ANSWERED (bad_answers.py), or FILE::TEST here in tests/router. The
38 are those a prototype of this router was tried with beside nginx and HAProxy; 26 to 38 it had failed.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hazard:
    """One of them."""

    number: int
    words: str
    cases: tuple[str, ...]


HAZARDS = (
    Hazard(1, "Content-Length and Transfer-Encoding in one request", (
        "CL and TE", "TE and CL", "CL and TE on a GET")),
    Hazard(2, "two Content-Lengths", ("two CL", "two CL alike", "CL list")),
    Hazard(3, "a transfer coding that only some know", (
        "TE xchunked", "TE gzip, chunked", "TE identity", "TE twice", "TE chunked, chunked", "TE with vertical tab",
        "TE in HTTP/1.0")),
    Hazard(4, "a space before the colon", (
        "TE with space before the colon", "CL with space before the colon", "space before the colon")),
    Hazard(5, "a line ended by LF alone", ("bare LF", "bare LF after one header", "bare LF ends the head")),
    Hazard(6, "a CR alone", ("bare CR", "bare CR before a header")),
    Hazard(7, "NUL", ("NUL in a value", "NUL in a name", "NUL in the target", "control in a value")),
    Hazard(8, "a folded header", ("folded", "folded first line", "TE folded")),
    Hazard(9, "two Hosts", ("two hosts", "two hosts alike", "absolute target, two hosts", "host list")),
    Hazard(10, "no Host", ("no host", "no host in HTTP/1.0", "empty host")),
    Hazard(11, "answers in the order of their requests", (
        "pipelined", "pipelined behind a body", "test_exchange.py::test_pipelined_requests_are_answered_in_order")),
    Hazard(12, "a head in pieces", ("test_hazards.py::test_a_head_split_anywhere_is_one_head",)),
    Hazard(13, "HEAD", ("HEAD", "HEAD of chunks")),
    Hazard(14, "HEAD, then GET", (
        "HEAD answered with a body", "test_exchange.py::test_head_then_get_on_one_connection",
        "test_lane.py::test_head_then_get")),
    Hazard(15, "chunks framed anew", ("chunks", "chunk extensions and trailers")),
    Hazard(16, "an answer that ends with its connection", ("body that ends with the connection",)),
    Hazard(17, "an answer that is broken off", ("body shorter than it says", "chunks without an end")),
    Hazard(18, "204 with a length", ("204 with a length", "204 with a body")),
    Hazard(19, "304 with a length", ("304 with a length", "304 with a body")),
    Hazard(20, "Content-Length and Transfer-Encoding in one answer", (
        "CL and TE in the answer", "TE and CL in the answer")),
    Hazard(21, "two Content-Lengths in one answer", ("two CL in the answer", "negative CL in the answer")),
    Hazard(22, "X-Forwarded-* from a client", ("spoofed forwarding",)),
    Hazard(23, "a client that goes in its answer", (
        "test_hazards.py::test_a_client_that_goes_in_its_answer_takes_the_app_s_connection_along",
        "test_lane.py::test_a_client_that_goes_takes_the_app_s_connection_along")),
    Hazard(24, "a client that goes before its answer", (
        "test_exchange.py::test_h27_a_client_that_goes_takes_the_app_s_connection_along",)),
    Hazard(25, "a slow client", (
        "test_exchange.py::test_a_slow_client_holds_the_app_back",
        "test_lane.py::test_a_slow_client_holds_the_app_back")),
    Hazard(26, "a 20 kB header", ("20 kB header",)),
    Hazard(27, "200 headers", ("200 headers", "5000 headers")),
    Hazard(28, "chunks to HTTP/1.0, and its close", (
        "HTTP/1.0", "chunks to HTTP/1.0", "chunks to HTTP/1.0 that would be kept",
        "a length to HTTP/1.0 that would be kept")),
    Hazard(29, "headers a request's Connection nominates", ("nominated headers", "a nominated length still frames")),
    Hazard(
        30, "headers an answer's Connection nominates",
        ("nominated headers in the answer", "a length nominated in the answer"),
    ),
    Hazard(31, "an absolute target", (
        "absolute target beats Host", "absolute target with userinfo", "ftp target")),
    Hazard(32, "an upgrade to h2c", ("upgrade to h2c", "upgrade to h2c with a body", "HTTP/2 preface")),
    Hazard(33, "a tunnel no app has opened", (
        "101 to who did not ask", "refused websocket with a request behind it",
        "test_tunnel.py::test_a_refused_upgrade_is_an_ordinary_answer")),
    Hazard(34, "an answer's head that is too long", ("100 kB header in the answer", "1000 headers in the answer")),
    Hazard(35, "request bodies", (
        "a request in a body is a body", "a request in a chunk is a body", "a body on a GET",
        "test_exchange.py::test_a_20_mb_upload_streams_through")),
    Hazard(36, "Expect: 100-continue", (
        "expectation in doubt", "test_exchange.py::test_continue_is_the_app_s_to_say",
        "test_exchange.py::test_an_early_refusal_of_an_upload_reaches_the_client")),
    Hazard(37, "103", ("103 first", "103 to HTTP/1.0")),
    Hazard(38, "a kept connection that the app has closed", (
        "test_upstream.py::test_a_kept_connection_closed_under_a_get_is_tried_again",
        "test_upstream.py::test_a_post_takes_no_kept_connection",
        "test_lane.py::test_a_kept_connection_that_was_closed_is_no_fault", "two answers to one request")),
)  # fmt: skip

# Whatever else no app is to be sent.
BAD_INPUT = {
    "lengths that are no number": (
        "CL with plus", "CL negative", "CL hex", "CL with underscore digits", "CL too large for anyone", "CL empty"),
    "chunks that are none": (
        "chunk size of spaces", "chunk size with 0x", "chunk size negative", "chunk size that wraps",
        "chunk ended by LF", "chunk longer than it says", "chunk extension with a bare LF",
        "test_exchange.py::test_h26_a_bad_chunk_in_an_upload"),
    "64 kB headers": ("64 kB header", "64 kB header name", "64 kB of headers", "1 MB cookie"),
    "1 MB targets": ("20 kB target", "1 MB target"),
    "names that are none": ("space in a name", "name without a colon", "empty name", "name with a parenthesis"),
    "Hosts that are none": (
        "host with userinfo", "host with password", "host with a path", "host with a query", "host with a space",
        "host with a bad port", "host with two ports", "host in unicode", "host with a fullwidth dot"),
    "targets that are none": ("target without a slash", "target of two words", "target with a tab"),
    "targets that look so": ("odd but legal target", "empty lines first"),
    "versions that are none": (
        "no version", "HTTP/2.0", "HTTP/1.2", "HTTP/1.10", "http/1.1 in lower case", "method with a control",
        "garbage"),
    "methods that are not for an app": ("TRACE", "CONNECT"),
    "slowloris": (
        "test_hazards.py::test_slowloris_is_told_and_cut", "test_hazards.py::test_a_body_that_trickles_out_is_cut"),
    "answers that are none": ("NUL in the answer", "bare CR in the answer"),
}  # fmt: skip
