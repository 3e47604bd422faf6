"""Dockerfiles of apps on a stack."""

import subprocess
from pathlib import Path

import pytest

from paasd.builders.assemble import APT, Part, apt_packages, assemble, secret_files
from paasd.builders.source import Source
from paasd.domain.errors import BuildFailed
from paasd.domain.stack import BOOKWORM, Packages


def test_what_is_installed_comes_before_the_source_and_what_is_built_after_it(tmp_path: Path) -> None:
    one = Part(("A=1",), ("/a/bin",), "RUN install a\n", "RUN build a\n", "RUN classic a\n", tools="RUN tool a\n")
    two = Part(("B=2",), ("/b/bin",), "RUN install b\n", "RUN build b\n")
    (tmp_path / "Aptfile").write_text("libpq-dev  # for psycopg2\n\n# more\ngcc python3-dev\n")
    text, classic = assemble(Source(tmp_path, "a1"), BOOKWORM, [one, two])
    assert text.splitlines() == [
        "FROM paasd/stack:bookworm", "USER root", "RUN tool a", "ENV A=1 B=2 PATH=/a/bin:/b/bin:$PATH HOME=/app",
        "RUN --mount=type=cache,id=paasd-apt-a1,target=/var/cache/paasd/a1/apt,sharing=locked : /var/cache/paasd/a1 && "
        f"apt-get update -q {APT} -o Dir::Cache=/var/cache/paasd/a1/apt && DEBIAN_FRONTEND=noninteractive apt-get "
        f"install -qy {APT} -o Dir::Cache=/var/cache/paasd/a1/apt --no-install-recommends libpq-dev gcc python3-dev && "
        "rm -rf /var/lib/apt/lists/*",
        "RUN install a", "RUN install b", "COPY --chown=app:app . /app", "USER app", "RUN build a", "RUN build b",
    ]  # fmt: skip
    assert classic is not None
    assert "--mount" not in classic
    assert "RUN classic a\nRUN install b\n" in classic


def test_what_comes_before_anything_of_the_app_s_is_the_same_for_all_apps(tmp_path: Path) -> None:
    """So that the engine makes compilers and installers once. Bites: with the app's caches mounted there, or its
    environment before it, each app has a layer of its own."""
    one, two = (
        assemble(
            Source(tmp_path, app_id, packages=Packages.COMPILERS),
            BOOKWORM,
            [Part(env=(f"A={app_id}",), install="RUN x\n")],
        )[0]
        for app_id in ("a1", "b2")
    )
    assert one.partition("ENV ")[0] == two.partition("ENV ")[0]
    assert "libpq-dev" in one.partition("ENV ")[0]


@pytest.mark.parametrize(
    "line", ["; rm -rf /", "$(id)", "-o Dir::Etc=/tmp", "https://example.org/a.deb", ":repo:deb x", "a\\"]
)
def test_an_aptfile_holds_names_of_packages_alone(tmp_path: Path, line: str) -> None:
    """Bites: without the pattern the line is run by the build's shell as root."""
    (tmp_path / "Aptfile").write_text(f"gcc\n{line}\n")
    with pytest.raises(BuildFailed, match="Aptfile line 2 is no package of the stack's"):
        apt_packages(Source(tmp_path, "a1"))


def test_secrets_are_mounted_for_each_command_of_a_language(tmp_path: Path) -> None:
    install = "RUN --mount=type=cache,id=x \\\n    --mount=type=bind,from=y \\\n    uv x\nCOPY a b\n"
    one = Part(install=install, build="RUN npm x\n")
    (tmp_path / "Aptfile").write_text("gcc\n")
    text, _ = assemble(Source(tmp_path, "a1", secrets=("TOKEN",)), BOOKWORM, [one])
    mount = "RUN --mount=type=secret,id=paasd-env,required=true,uid=1000,mode=0400 "
    source = ". /run/secrets/paasd-env && "
    assert f"{mount}--mount=type=cache,id=x \\\n    --mount=type=bind,from=y \\\n    {source}uv x\nCOPY a b\n" in text
    assert f"{mount}{source}npm x\n" in text
    assert text.count(mount) == 2  # apt-get needs none
    plain, _ = assemble(Source(tmp_path, "a1"), BOOKWORM, [one])
    assert "secret" not in plain


def test_what_a_shell_sources_is_what_was_set(tmp_path: Path) -> None:
    """Bites: unquoted, $(id) would be run."""
    values = {"A": "it's $(id) `id`\nnext", "B": ""}
    files = secret_files(values)
    assert files["A"] == values["A"].encode()
    (tmp_path / "env").write_bytes(files["paasd-env"])
    shell = ["sh", "-c", '. "$1"; printf "%s|%s|%s" "$A" "$B" "$PAASD_BUILD_VARS"', "sh", str(tmp_path / "env")]
    done = subprocess.run(shell, capture_output=True, text=True, check=True, timeout=10)
    assert done.stdout == f"{values['A']}|{values['B']}|A B"
    assert secret_files({}) == {}
