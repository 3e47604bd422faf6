"""The walls of docs/ARCHITECTURE.md as code: how long things may be, what they are called, and each module its test."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.python_sources import ROOT, python_files, sources, tree

BANNED_NAMES = {"manager", "helper", "helpers", "util", "utils", "core", "base", "common", "misc"}
FILE_LINES = 400
FUNCTION_LINES = 50

# Modules without a test file of their own name: where they are tested instead, or why there is nothing to test.
TESTED_ELSEWHERE = {
    "paasd/builders/recipe.py": "tests/paasd/builders/test_detect.py",
    "paasd/cli/attach.py": "tests/acceptance/test_run.py",
    "paasd/cli/one_off.py": "tests/acceptance/test_run.py",
    "paasd/adapters/database.py": "tests/paasd/adapters/test_store.py",
    "paasd/adapters/addon_each.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/docker_addon_events.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/docker_addon_images.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/docker_addon_links.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/docker_addon_redis.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/docker_addon_server.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/docker_addon_sql.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/docker_addons.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/postgres_words.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/redis_words.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/docker_faults.py": "tests/paasd/adapters/test_docker_api.py",
    "paasd/adapters/docker_shells.py": "tests/contracts/test_shells.py",
    "paasd/adapters/process_addon_folder.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/process_addon_server.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/process_addons.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/process_clients.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/self_signed.py": "tests/contracts/test_addon_provider.py",
    "paasd/adapters/process_dynos.py": "tests/contracts/test_engine.py",
    "paasd/adapters/process_exec.py": "tests/contracts/test_shells.py",
    "paasd/adapters/process_firewall.py": "tests/paasd/adapters/test_process_isolation.py",
    "paasd/adapters/process_inside.py": "tests/paasd/adapters/test_process_isolation.py",
    "paasd/adapters/process_launch.py": "tests/paasd/adapters/test_process_engine.py",
    "paasd/adapters/process_roster.py": "tests/paasd/adapters/test_process_engine.py",
    "paasd/adapters/process_run.py": "tests/contracts/test_engine.py",
    "paasd/adapters/process_shells.py": "tests/contracts/test_shells.py",
    "paasd/adapters/process_supervisor.py": "tests/paasd/adapters/test_process_engine.py",
    "paasd/adapters/process_tree.py": "tests/paasd/adapters/test_process_engine.py",
    "paasd/domain/slug.py": "tests/paasd/adapters/test_process_build.py",
    "paasd/router_alone.py": "tests/paasd/test_main.py",
    "paasd/adapters/store_addons.py": "tests/contracts/test_store_addons.py",
    "paasd/adapters/dumps.py": "tests/paasd/services/test_transfers.py",
    "paasd/adapters/store_transfers.py": "tests/paasd/services/test_transfers.py",
    "paasd/adapters/tables_transfers.py": "tests/paasd/services/test_transfers.py",
    "paasd/migrations/versions/0011_webhooks_of_addons.py": "tests/paasd/api/test_webhooks.py",
    "paasd/migrations/versions/0010_transfers.py": "tests/paasd/migrations/test_migrations.py",
    "paasd/ports/dumps.py": "tests/paasd/services/test_transfers.py",
    "paasd/ports/store_transfers.py": "tests/paasd/services/test_transfers.py",
    "paasd/services/dump_tools.py": "tests/paasd/services/test_transfers.py",
    "paasd/services/databases.py": "tests/acceptance/test_pg.py",
    "paasd/services/schedules.py": "tests/paasd/services/test_transfers.py",
    "paasd/api/database_resources.py": "tests/acceptance/test_pg.py",
    "paasd/api/databases.py": "tests/acceptance/test_pg.py",
    "paasd/api/transfers.py": "tests/acceptance/test_pg.py",
    "paasd/cli/databases.py": "tests/acceptance/test_pg.py",
    "paasd/cli/pg.py": "tests/acceptance/test_pg.py",
    "paasd/cli/pg_backups.py": "tests/acceptance/test_pg.py",
    "paasd/cli/redis.py": "tests/acceptance/test_pg.py",
    "paasd/adapters/tool_runs.py": "tests/contracts/test_addon_provider.py",
    "paasd/ports/store_addons.py": "tests/contracts/test_store_addons.py",
    "paasd/doctor_addons.py": "tests/paasd/services/test_addon_orphans.py",
    "paasd/services/addon_checks.py": "tests/paasd/services/test_addons.py",
    "paasd/services/addon_partners.py": "tests/paasd/api/test_partners.py",
    "paasd/api/dashboard_page.py": "tests/paasd/api/test_dashboards.py",
    "paasd/api/addon_resources.py": "tests/paasd/api/test_addons.py",
    "paasd/settings_addons.py": "tests/paasd/test_rules.py",
    "paasd/adapters/rows.py": "tests/contracts/test_store.py",
    "paasd/adapters/store_access.py": "tests/contracts/test_store_access.py",
    "paasd/adapters/store_apps.py": "tests/contracts/test_store.py",
    "paasd/adapters/store_audit.py": "tests/contracts/test_store_access.py",
    "paasd/adapters/store_domains.py": "tests/contracts/test_store_domains.py",
    "paasd/adapters/store_releases.py": "tests/contracts/test_store_ledger.py",
    "paasd/adapters/store_requests.py": "tests/contracts/test_store_requests.py",
    "paasd/adapters/store_upkeep.py": "tests/contracts/test_store_upkeep.py",
    "paasd/api/links.py": "tests/paasd/api/test_resources.py",
    "paasd/api/login_page.py": "tests/paasd/api/test_login.py",
    "paasd/api/parts.py": "tests/paasd/api/world.py",
    "paasd/api/people_resources.py": "tests/paasd/api/test_people.py",
    "paasd/api/ssh.py": "tests/paasd/api/test_attach.py",
    "paasd/api/ssh_session.py": "tests/paasd/api/test_attach.py",
    "paasd/api/replies.py": "tests/paasd/api/test_middleware.py",
    "paasd/api/requests.py": "tests/paasd/api/test_middleware.py",
    "paasd/api/server.py": "tests/paasd/api/test_middleware.py",
    "paasd/domain/audit.py": "tests/contracts/test_store_access.py",
    "paasd/domain/request.py": "tests/contracts/test_store_requests.py",
    "paasd/domain/push.py": "tests/paasd/api/test_hook.py",
    "paasd/services/audit.py": "tests/paasd/api/test_people.py",
    "paasd/services/authorizations.py": "tests/paasd/api/test_authorizations.py",
    "paasd/services/settling.py": "tests/paasd/services/test_recovery.py",  # one boot mends both
    "paasd/migrations/__main__.py": "tests/paasd/migrations/test_migrations.py",
    "paasd/migrations/env.py": "tests/paasd/migrations/test_migrations.py",
    "paasd/migrations/versions/0001_the_ledger.py": "tests/paasd/migrations/test_migrations.py",
    "paasd/migrations/versions/0002_who_may_what.py": "tests/paasd/migrations/test_migrations.py",
    "paasd/ports/addons.py": "tests/contracts/test_addon_provider.py",
    "paasd/ports/authority.py": "tests/paasd/adapters/test_local_ca.py",
    "paasd/ports/disk.py": "tests/paasd/adapters/test_disk.py",
    "paasd/migrations/versions/0003_upkeep.py": "tests/paasd/migrations/test_migrations.py",
    "paasd/migrations/versions/0004_domains.py": "tests/paasd/migrations/test_migrations.py",
    "paasd/migrations/versions/0005_buildpacks.py": "tests/paasd/migrations/test_migrations.py",
    "paasd/migrations/versions/0006_webhooks.py": "tests/paasd/migrations/test_migrations.py",
    "paasd/migrations/versions/0008_log_drains.py": "tests/paasd/migrations/test_migrations.py",
    "paasd/migrations/versions/0009_addons.py": "tests/contracts/test_store_addons.py",
    "paasd/adapters/drain_outlets.py": "tests/paasd/services/test_drains.py",
    "paasd/adapters/store_drains.py": "tests/paasd/services/test_drains.py",
    "paasd/ports/drains.py": "tests/paasd/services/test_drains.py",
    "paasd/chores.py": "tests/paasd/test_daemon.py",
    "paasd/adapters/store_webhooks.py": "tests/paasd/api/test_webhooks.py",
    "paasd/api/payloads.py": "tests/paasd/api/test_webhooks.py",
    "paasd/services/webhooks.py": "tests/paasd/api/test_webhooks.py",
    "paasd/migrations/versions/0007_requests.py": "tests/paasd/migrations/test_migrations.py",
    "paasd/ports/engine.py": "tests/contracts/test_engine.py",
    "paasd/ports/journal.py": "tests/paasd/adapters/test_log_journal.py",
    "paasd/ports/outputs.py": "tests/paasd/adapters/test_log_files.py",
    "paasd/ports/probe.py": "tests/paasd/adapters/test_probe.py",
    "paasd/ports/router.py": "tests/contracts/test_router.py",
    "paasd/ports/sources.py": "tests/paasd/adapters/test_git_repos.py",
    "paasd/ports/store.py": "tests/contracts/test_store.py",
    "paasd/ports/uploads.py": "tests/paasd/adapters/test_uploads.py",
    "paasd/ports/web.py": "tests/paasd/adapters/test_web_fetch.py",
    "router/passage.py": "tests/router/test_lane.py",
    "router/proxy.py": "tests/router/test_exchange.py",
    "router/reply.py": "tests/router/test_exchange.py",
    "router/held.py": "tests/router/test_main.py",
    "router/parent.py": "tests/router/test_workers.py",
    "router/peers.py": "tests/router/test_workers.py",
    "router/relay.py": "tests/router/test_workers.py",
    "router/renewal.py": "tests/router/test_workers.py",
    "router/serving.py": "tests/router/test_workers.py",
    "router/wakeups.py": "tests/router/test_workers.py",
    "router/worker.py": "tests/router/test_workers.py",
    "router/tasks.py": "tests/router/test_tunnel.py",
}


def test_no_file_is_too_long() -> None:
    """Of what is tested, of the tests and of the benches. Bites: a test file of 401 lines."""
    files = [*sources(), *python_files("tests"), *python_files("bench")]
    lengths = {str(path): len((ROOT / path).read_text("utf-8").splitlines()) for path in files}
    assert {path: length for path, length in lengths.items() if length > FILE_LINES} == {}


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_function_is_too_long() -> None:
    assert [
        f"{path}:{function.lineno} {function.name} has {length} lines"
        for path in sources()
        for function in functions(path)
        if (length := (function.end_lineno or function.lineno) - function.lineno + 1) > FUNCTION_LINES
    ] == []


def test_no_name_says_nothing() -> None:
    assert [str(path) for path in sources() if BANNED_NAMES & {*path.parent.parts, *path.stem.split("_")}] == []


def test_every_module_says_what_lives_in_it() -> None:
    assert [str(path) for path in sources() if tree(path).body and ast.get_docstring(tree(path)) is None] == []


def test_every_public_function_and_class_says_what_it_is() -> None:
    """But handlers of one request, whose route says it, and the two functions that Alembic calls by name."""
    assert [
        f"{path}:{node.lineno} {node.name}"
        for path in sources()
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not is_handler(path, node)
        and "versions" not in path.parts
        and ast.get_docstring(node) is None
    ] == []


def is_handler(path: Path, node: ast.stmt) -> bool:
    return path.parts[1] == "api" and isinstance(node, ast.AsyncFunctionDef) and len(node.args.args) == 1


def test_no_module_level_state_is_rebound() -> None:
    assert [
        f"{path}:{node.lineno} {', '.join(node.names)}"
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Global)
    ] == []


def test_no_module_level_state_is_mutable() -> None:
    """A dict or list at module level is a table: named in capitals, or typed as something that can't be changed."""
    found = []
    for path in sources():
        for node in tree(path).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                targets = [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            value = getattr(node, "value", None)
            if isinstance(value, ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp):
                found += [f"{path}:{node.lineno} {name}" for name in names if not name.isupper()]
    assert [line for line in found if not line.endswith("__all__")] == []


def test_each_module_has_its_test() -> None:
    """tests/ mirrors the sources, name for name; what is tested elsewhere is named above."""
    missing = []
    for path in sources():
        if path.name == "__init__.py" or not tree(path).body:
            continue
        name = "main" if path.stem == "__main__" else path.stem
        test = Path(TESTED_ELSEWHERE.get(str(path), Path("tests") / path.parent / f"test_{name}.py"))
        if not (ROOT / test).exists():
            missing.append(f"{path} has no {test}")
    assert missing == []


def test_the_exceptions_are_still_needed() -> None:
    gone = [path for path in TESTED_ELSEWHERE if not (ROOT / path).exists()]
    own = [path for path in TESTED_ELSEWHERE if (ROOT / "tests" / path).with_name(f"test_{Path(path).name}").exists()]
    assert (gone, own) == ([], [])
