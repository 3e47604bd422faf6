"""Settings: options win over PAASD_* variables, those over the file; what can't be meant is a sentence."""

import re
from pathlib import Path

import pytest

from paasd.settings import Settings, SettingsError, TimeoutSettings, is_loopback, load, parse_address
from router.table import RouteTimeouts


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of whoever runs the tests."""
    for name in ("HOME", "API", "ROUTER", "ROUTER_DIR", "ROUTER_SUPERVISED", "ENGINE", "DOMAIN", "OWNER", "LOG"):
        monkeypatch.delenv(f"PAASD_{name}", raising=False)
    monkeypatch.delenv("PAASD_FAILPOINTS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "paasd.yaml"
    path.write_text(text)
    return path


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load({}, config(tmp_path, text))
    message = str(refused.value)
    assert "\n" not in message
    assert re.search(r"[.?]$", message), message
    return message


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/somewhere/bin")
    settings = load({}, None)
    assert (settings.api, settings.router) == ("127.0.0.1:5500", "127.0.0.1:8080")
    assert settings.home == tmp_path / ".paasd"
    assert settings.router_directory == tmp_path / ".paasd-router"
    assert settings.search_path == "/somewhere/bin"
    assert settings.failpoints == ""


def test_options_win_over_variables_and_those_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = config(tmp_path, "api: 127.0.0.1:1\nrouter: 127.0.0.1:2\nowner: file@example.org\n")
    monkeypatch.setenv("PAASD_API", "127.0.0.1:3")
    monkeypatch.setenv("PAASD_ROUTER", "127.0.0.1:4")
    settings = load({"api": "127.0.0.1:5", "router": None}, path)
    assert (settings.api, settings.router, settings.owner) == ("127.0.0.1:5", "127.0.0.1:4", "file@example.org")


def test_variables_of_other_kinds_than_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAASD_HOME", "~/there")
    monkeypatch.setenv("PAASD_ROUTER_DIR", "~/router")
    monkeypatch.setenv("PAASD_ROUTER_SUPERVISED", "true")
    monkeypatch.setenv("PAASD_FAILPOINTS", "swap-after:kill")
    settings = load({}, None)
    assert (settings.home, settings.router_directory) == (tmp_path / "there", tmp_path / "router")
    assert settings.router_supervised is True
    assert settings.failpoints == "swap-after:kill"


def test_sections_are_read(tmp_path: Path) -> None:
    text = "dynos: {memory_mb: 256, boot_timeout: 6}\ndeploy: {drain: 1.5}\ndocker: {host: 'unix:///x.sock'}\n"
    settings = load({}, config(tmp_path, text))
    assert (settings.dynos.memory_mb, settings.dynos.boot_timeout) == (256, 6.0)
    assert (settings.deploy.drain, settings.deploy.grace) == (1.5, 30.0)
    assert settings.docker.host == "unix:///x.sock"


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    assert load({}, config(tmp_path, "# nothing\n")) == load({}, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("roter: 127.0.0.1:1\n", "Unknown setting roter: did you mean router?"),
        ("dynos: {memory: 1}\n", "Unknown setting dynos.memory: did you mean dynos.memory_mb?"),
        ("zzz: 1\n", "Unknown setting zzz: known are addons, api, attach, backups,"),
        ("search_path: /bin\n", "Unknown setting search_path"),
        ("failpoints: 'a:kill'\n", "Unknown setting failpoints"),
        ("engine: podman\n", "A setting can't be used"),
        ("dynos: {memory_mb: lots}\n", "$.dynos.memory_mb"),
        ("dynos: 5\n", "$.dynos"),
        ("home: 5\n", "A setting can't be used"),
        ("router_dir: [a]\n", "A setting can't be used"),
        ("api: 5500\n", "$.api"),
        ("build: {parallel: 0}\n", "$.build.parallel"),
        ("dynos: {port: 70000}\n", "$.dynos.port"),
        ("deploy: {wait: -1}\n", "$.deploy.wait"),
        ("docker: {subnet_pool: anything}\n", "The setting docker.subnet_pool can't be used"),
        ("docker: {subnet_pool: 10.0.0.1/16}\n", "has host bits set"),
        ("docker: {subnet_pool: 10.0.0.0/24, subnet_prefix: 20}\n", "docker.subnet_prefix is /20, wider than"),
        ("api: localhost\n", "The setting api is 'localhost'; write HOST:PORT, such as 127.0.0.1:5500."),
        ("router: 127.0.0.1:66000\n", "The setting router is '127.0.0.1:66000'; write HOST:PORT"),
        ("a: [1\n", "is not valid YAML"),
        ("- a\n", "must hold settings as `name: value` lines."),
        ("1: a\n", "must hold settings as `name: value` lines."),
    ],
)
def test_what_can_not_be_meant_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"nowhere\.yaml can't be read \(No such file or directory\); check --config"
    ):
        load({}, tmp_path / "nowhere.yaml")
    (tmp_path / "paasd.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="is not valid YAML"):
        load({}, tmp_path / "paasd.yaml")


def test_the_safe_loader_is_used(tmp_path: Path) -> None:
    assert "is not valid YAML" in refusal(tmp_path, "owner: !!python/object/apply:os.getcwd []\n")


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAASD_ENGINE", "lxc")
    with pytest.raises(SettingsError, match="lxc"):
        load({}, None)
    monkeypatch.setenv("PAASD_ENGINE", "docker")
    monkeypatch.setenv("PAASD_FAILPOINTS", "before_promote")
    with pytest.raises(SettingsError, match=r"^PAASD_FAILPOINTS holds 'before_promote'"):
        load({}, None)


@pytest.mark.parametrize("name", ["api", "router"])
def test_others_are_let_in_only_on_purpose(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"The setting {name} would listen on 0.0.0.0, where others could read"):
        load({name: "0.0.0.0:5500"}, None)
    known = config(tmp_path, "insecure_http: true\npublic_url: http://paas.example.org:5500\n")
    settings = load({name: "0.0.0.0:5500"}, known)
    assert getattr(settings, name) == "0.0.0.0:5500"


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_clients_are_not_sent_to_a_wildcard_address(host: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="which is no address that clients can use: set public_url to how they"):
        load({"api": f"{host}:5500"}, config(tmp_path, "insecure_http: true\n"))
    settings = load({"api": f"{host}:5500"}, config(tmp_path, "insecure_http: true\npublic_url: https://paas.test/\n"))
    assert settings.api_url == "https://paas.test"
    assert load({}, None).api_url == "http://127.0.0.1:5500"


@pytest.mark.parametrize(
    "url", ["paas.test", "ftp://paas.test", "http://", "http://u:p@x", "http://x/y", "http://x?y", "http://x:99999"]
)
def test_a_public_url_is_scheme_host_and_port(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="write only scheme, host and port"):
        load({}, config(tmp_path, f"public_url: '{url}'\n"))


def test_addresses() -> None:
    assert parse_address("127.0.0.1:0", "api") == ("127.0.0.1", 0)
    assert parse_address("[::1]:5500", "api") == ("::1", 5500)
    for text in ("", ":", "5500", ":5500", "host:", "host:-1", "host:a", "host:70000"):
        with pytest.raises(SettingsError):
            parse_address(text, "api")
    loopback = {
        "127.0.0.1": True,
        "127.9.9.9": True,
        "::1": True,
        "localhost": True,
        "0.0.0.0": False,
        "10.0.0.1": False,
    }
    assert {host: is_loopback(host) for host in loopback} == loopback
    assert not is_loopback("paas.example.org")


def test_settings_can_not_be_changed() -> None:
    settings = load({}, None)
    with pytest.raises(AttributeError):
        settings.api = "x"  # type: ignore[misc]
    assert isinstance(settings, Settings)


def test_timeouts_are_of_all_apps_or_of_one(tmp_path: Path) -> None:
    assert TimeoutSettings().of("shop") is None  # the router's own
    file = tmp_path / "paasd.yaml"
    file.write_text("timeouts: {idle: 90, apps: {shop: {first_byte: 120, park: 0}}}")
    timeouts = load({"home": str(tmp_path)}, file).timeouts
    assert timeouts.of("blog") == RouteTimeouts(idle=90)
    assert timeouts.of("shop") == RouteTimeouts(first_byte=120, idle=90, park=0)
    file.write_text("timeouts: {apps: {shop: {first: 120}}}")
    with pytest.raises(SettingsError, match="first"):
        load({"home": str(tmp_path)}, file)


def test_sizes(tmp_path: Path) -> None:
    sizes = load({}, config(tmp_path, "sizes: {Big: {memory_mb: 4096, cpus: 2}}")).sizes
    assert {name: (size.memory_mb, size.cpus) for name, size in sizes.items()} == {"Big": (4096, 2.0)}
    twice, spaced = "{a: {memory_mb: 9}, A: {memory_mb: 9}}", "{a b: {memory_mb: 9}}"
    for text in ("{Standard-1x: {memory_mb: 9}}", twice, spaced, "{a: 1}"):
        with pytest.raises(SettingsError, match="sizes"):
            load({}, config(tmp_path, f"sizes: {text}"))
