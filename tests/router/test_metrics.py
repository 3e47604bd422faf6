"""Figures: read off log lines, summed over workers, written as Prometheus reads them."""

import re

import msgspec

from router.access_log import LogEntry
from router.call import Call
from router.codes import Code
from router.metrics import BUCKETS, Counted, Figures, render
from tests.router.conftest import Start
from tests.router.process import RouterProcess, echo, route


def line(status: int, seconds: float, code: Code | None = None, path: str = "/") -> str:
    call = Call(0.0, method="GET", path=path, host="h", status=status, sent=7, code=code)
    return call.line(seconds)


def test_lines_are_counted_by_app_status_code_and_time() -> None:
    counted = Counted()
    lines = [line(200, 0.004), line(503, 31.0, Code.H12), line(200, 0.01, path="/ service=1ms status=500 bytes=9")]
    counted.count([LogEntry("one", "t", each) for each in lines])
    counted.count([LogEntry("", "t", line(400, 0.0, Code.H26)), LogEntry("one", "t", "not a request")])
    one = counted.apps["one"]
    assert (one.statuses, one.codes, one.bytes) == ({"2xx": 2, "5xx": 1}, {"H12": 1}, 21)
    assert one.buckets[0] == 1 and one.buckets[BUCKETS.index(0.01)] == 1 and one.buckets[-1] == 1
    assert counted.apps["-"].codes == {"H26": 1}
    counted.keep(frozenset())
    assert list(counted.apps) == ["-"]


def test_workers_are_summed_and_names_escaped() -> None:
    counted = Counted()
    counted.count([LogEntry("id", "t", line(200, 0.02))])
    figures = Figures(counted.apps, {"10.0.0.1:80": 2}, 3, 5)
    figures = msgspec.msgpack.decode(msgspec.msgpack.encode(figures), type=Figures)
    text = render([figures, figures], names={"id": 'a"b'}, table=9)
    for sample in (
        'paasd_router_requests_total{app="a\\"b",status="2xx"} 2',
        'paasd_router_request_seconds_bucket{app="a\\"b",le="0.025"} 2',
        'paasd_router_request_seconds_bucket{app="a\\"b",le="0.01"} 0',
        'paasd_router_request_seconds_bucket{app="a\\"b",le="+Inf"} 2',
        'paasd_router_request_seconds_sum{app="a\\"b"} 0.040',
        'paasd_router_in_flight{target="10.0.0.1:80"} 4',
        *("paasd_router_lane_hits_total 10", "paasd_router_workers 2", "paasd_router_table_version 9"),
    ):
        assert sample in text.splitlines()


async def test_the_router_tells_its_figures(router: RouterProcess, start: Start) -> None:
    await router.publish(route("counted", await start(echo())), route("shut", maintenance=True))
    for name in ("counted", "counted", "shut"):
        await router.get(f"{name}.localhost")
    await router.log_lines("host=shut.localhost")
    text = await router.metrics()
    assert re.search(r'requests_total\{app="counted",status="2xx"\} 2\n', text)
    assert re.search(r'codes_total\{app="shut",code="H80"\} 1\n', text)
    names = {match[1] for match in re.finditer(r"^# TYPE (\w+) ", text, re.M)}
    assert all(re.match(r"\w+?(_bucket|_sum|_count)?[{ ]", each) for each in text.splitlines() if each[0] != "#")
    assert {"paasd_router_request_seconds", "paasd_router_workers"} <= names
