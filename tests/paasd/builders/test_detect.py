"""Which builder takes a source, and what is said when none does."""

from pathlib import Path

import pytest

from paasd.builders.detect import detect
from paasd.domain.errors import BuildFailed


def write(source: Path, **files: str) -> Path:
    for name, text in files.items():
        (source / name.replace("_txt", ".txt").replace("_json", ".json")).write_text(text)
    return source


def test_a_dockerfile_comes_before_requirements(tmp_path: Path) -> None:
    plan = detect(
        write(tmp_path, Dockerfile="FROM x\n", requirements_txt="flask\n", Procfile="web: serve"), app_id="a1"
    )
    assert (plan.builder, plan.stack, plan.dockerfile, plan.dockerfile_classic) == (
        "dockerfile",
        None,
        "FROM x\n",
        None,
    )
    assert plan.processes.commands == {"web": "serve"}
    assert plan.reasons == ("Building by the Dockerfile in the repository",)


def test_a_dockerfile_needs_no_procfile(tmp_path: Path) -> None:
    assert detect(write(tmp_path, Dockerfile="FROM x\n"), app_id="a1").processes.commands == {"web": None}


def test_requirements_are_built_on_the_stack(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        requirements_txt="flask\n",
        Procfile="web: serve",
        app_json='{"healthchecks": {"web": {"path": "/ok"}}}',
    )
    plan = detect(source, app_id="a1")
    assert (plan.builder, plan.stack) == ("python", "bookworm")
    assert plan.processes.health_paths == {"web": "/ok"}
    assert "Python app: requirements.txt found" in plan.reasons[0]


def test_requirements_without_a_procfile_have_nothing_to_run(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="No process types found"):
        detect(write(tmp_path, requirements_txt="flask\n"), app_id="a1")


def test_a_source_nobody_takes_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"neither a Dockerfile nor a requirements\.txt was found"):
        detect(write(tmp_path, Procfile="web: serve"), app_id="a1")
