"""Our own: how full the disks are, and who uses them."""

from aiohttp import web

from paasd.api.parts import PARTS
from paasd.api.replies import reply
from paasd.services.disk import DiskReport


async def show(request: web.Request) -> web.Response:
    return reply(request, disk_resource(await request.app[PARTS].disk.report()))


def disk_resource(report: DiskReport) -> dict[str, object]:
    """What `paas disk` shows; sizes in bytes."""
    return {
        "disks": [
            {
                "path": disk.path,
                "status": level.value,
                "total": disk.total,
                "free": disk.free,
                "used_percent": disk.used_percent,
                "free_inodes": disk.free_inodes if disk.total_inodes else None,
            }
            for disk, level in report.disks
        ],
        "apps": [
            {"name": use.app, "images": use.images, "image_bytes": use.image_bytes, "output_bytes": use.output_bytes}
            for use in report.apps
        ],
        "high_percent": report.rules.high,
        "full_percent": report.rules.full,
        "keep_releases": report.rules.keep_releases,
    }


ROUTES = (web.get("/paasd/disk", show),)
