"""Process types that a push names are a part of its dynos' names, and these of the paths that Docker is asked at."""

import asyncio
import json
from pathlib import Path

import pytest

from paasd.builders.detect import detect
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed, PaasError
from tests.contracts.engines import SLEEP, docker_bench

HOSTILE = ("x/../../containers/v/kill?signal=KILL&y=", "a\nb", "", "../x", "x" * 64, "wéb", "a b", "a.b", "web\n")


@pytest.mark.parametrize("kind", HOSTILE)
def test_heroku_yml_names_process_types_as_a_procfile_does(tmp_path: Path, kind: str) -> None:
    """Bites: without the check in `read_manifest`."""
    run = json.dumps({kind: "sleep 5"})
    (tmp_path / "heroku.yml").write_text(f"build:\n  docker:\n    web: Dockerfile\nrun: {run}\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(BuildFailed, match=r"can't be a process type; letters, digits, - and _ make one"):
        detect(Source(tmp_path, "app"))


@pytest.mark.docker
async def test_no_dyno_s_name_leads_to_another_container() -> None:
    """As one that was released before: Docker was asked for another path. Bites: without the check in `stream`."""
    async with asyncio.timeout(120), docker_bench() as bench:
        victim = await bench.engine.start(bench.spec(SLEEP))
        aim = f"x/../../containers/{victim.id}/kill?signal=KILL&y=.1"
        for way in (bench.engine.stop, bench.engine.wait):
            with pytest.raises(PaasError, match="can't be asked of Docker"):
                await way(bench.spec(SLEEP, name=aim).id)
        (dyno,) = await bench.engine.dynos()
        assert dyno.running
