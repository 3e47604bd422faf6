"""The log line: Heroku's words in Heroku's order, and one line whatever a client sends."""

from router.call import Call
from router.codes import Code
from tests.router.conftest import Start
from tests.router.process import RouterProcess, echo, route


def test_the_line_is_heroku_s() -> None:
    call = Call(
        10.0, "GET", "/a?b=c", "shop.localhost", "id-1", "1.2.3.4, 127.0.0.1", "a1", "shop", "web.1", 0.001, 200, 612
    )
    assert call.line(10.018) == (
        'at=info method=GET path="/a?b=c" host=shop.localhost request_id=id-1 fwd="1.2.3.4, 127.0.0.1" '
        "dyno=web.1 connect=1ms service=18ms status=200 bytes=612 protocol=http"
    )
    call.code, call.status = Code.H12, 503
    assert call.line(10.018).startswith('at=error code=H12 desc="Request timeout" method=GET path="/a?b=c" ')


def test_nothing_makes_it_two_lines() -> None:
    call = Call(0.0, "GET", '/"\r\nat=info\\\x1b\udcff é', "h\n", fwd='"\n')
    line = call.line(0.0)
    assert line.isprintable() and line.isascii() and line.count('"') == 4
    assert 'path="/%22%0D%0Aat=info%5C%1B%FF%20%C3%A9"' in line


async def test_one_request_one_line(router: RouterProcess, start: Start) -> None:
    await router.publish(route("shop", await start(echo())))
    got = await router.get("shop.localhost", "/x?y=1")
    wanted = (
        r'^\S+ heroku\[router\]: at=info method=GET path="/x\?y=1" host=shop\.localhost request_id=[0-9a-f-]{36} '
        rf'fwd="127\.0\.0\.1" dyno=web\.1 connect=\d+ms service=\d+ms status=200 bytes={len(got.body)} protocol=http$'
    )
    assert len(await router.log_lines(wanted)) == 1
