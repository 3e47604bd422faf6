"""`disk`: how full the disks of the daemon are, and which app uses what."""

from __future__ import annotations

import click

from paasd.cli import output
from paasd.cli.output import Styled
from paasd.cli.session import PaasCommand, Session, json_option

SECTION = "Machine"
LOOKS = {"ok": output.GOOD, "high": output.BUSY, "full": output.BAD}


@click.command(cls=PaasCommand, name="disk", section=SECTION, example="paas disk")
@json_option
@click.pass_obj
def disk(session: Session, as_json: bool) -> None:
    """Show how full the disks are and who uses them."""
    found = session.api.get("/paasd/disk")
    if as_json:
        output.print_json(found)
        return
    output.header(f"Disks - builds stop at {found['full_percent']} %")
    rows = [
        [one["path"], Styled(one["status"], LOOKS.get(one["status"], "")), f"{one['used_percent']} %",
         output.size(one["free"]), output.size(one["total"]), _count(one["free_inodes"])]
        for one in found["disks"]
    ]  # fmt: skip
    output.table(["Path", "Status", "Used", "Free", "Size", "Free inodes"], rows, flexible=0)
    if not found["apps"]:
        return
    click.echo()
    output.header(f"Apps - the last {found['keep_releases']} releases keep their image")
    rows = [
        [Styled(one["name"], output.APP), str(one["images"]), output.size(one["image_bytes"]),
         output.size(one["output_bytes"])]
        for one in found["apps"]
    ]  # fmt: skip
    output.table(["App", "Images", "In images", "In outputs"], rows, flexible=0)


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


COMMANDS = (disk,)
