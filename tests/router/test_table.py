"""The contract between daemon and router."""

import json

import pytest

from router.table import Route, RoutingTable, TableError, decode, encode
from tests.router.process import route


def test_a_table_survives_the_wire() -> None:
    table = RoutingTable(7, (route("shop", 9000, 9001), route("empty", maintenance=True, code="H81")))
    assert decode(encode(table)) == table


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not json", "can't be read"),
        (b'{"version":"1"}', "can't be read"),
        (b'{"version":-1}', "must not be negative"),
        (b'{"version":1,"color":"red"}', "color"),
        (b'{"version":1,"routes":[{"app":"a","name":"a","hosts":["a"],"no_target_code":"H99"}]}', "H99"),
        (b'{"version":1,"routes":[{"app":"a","name":"a","hosts":["Shop.localhost"]}]}', "lower-case"),
        (b'{"version":1,"routes":[{"app":"a","name":"a","hosts":["shop.localhost:80"]}]}', "without a port"),
        (b'{"version":1,"routes":[{"app":"a","name":"a","hosts":["x"]},{"app":"b","name":"b","hosts":["x"]}]}', "both"),
    ],
)
def test_a_table_that_cannot_be_served_by_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(TableError, match=words):
        decode(data)


@pytest.mark.parametrize(("app", "port", "words"), [("a", 0, "1 to 65535"), ("b", 80, "another app")])
def test_a_wrong_target_is_refused(app: str, port: int, words: str) -> None:
    target = f'{{"app":"{app}","release":1,"dyno":"web.1","host":"127.0.0.1","port":{port}}}'
    with pytest.raises(TableError, match=words):
        decode(f'{{"version":1,"routes":[{{"app":"a","name":"a","hosts":["x"],"targets":[{target}]}}]}}'.encode())


def test_what_an_app_has_none_of_is_not_written() -> None:
    """A router that is older than the daemon refuses fields it does not know: it is spared those that say nothing."""
    written = encode(RoutingTable(1, (Route("id", "shop", ("shop.localhost",)),)))
    assert json.loads(written)["routes"] == [{"app": "id", "name": "shop", "hosts": ["shop.localhost"]}]
