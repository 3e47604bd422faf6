"""The wire format, all of it: domain values in, Heroku's Platform API v3 resources out. Pure functions."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from paasd.api.links import Links
from paasd.domain.access import Account, Actor
from paasd.domain.app import App
from paasd.domain.dyno import Dyno, Formation
from paasd.domain.hostname import Domain
from paasd.domain.manifest import RELEASE
from paasd.domain.release import Build, BuildStatus, ProcessTypes, Release
from paasd.domain.upkeep import Page
from paasd.services.ledger import NameDiff, ReleaseDetails
from paasd.services.routing import RouterStatus

Resource = dict[str, Any]

NAMESPACE = uuid.UUID("5f1d3f4e-6c0b-4c64-9d0e-0f6f70616173")  # ours: ids of things that have a name but no id
STACK = "paasd-bookworm"
REGION = "local"
BUILT_IN_SINCE = "2026-01-01T00:00:00Z"


class Dated(Protocol):
    """What is made and changed at a time."""

    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def updated_at(self) -> datetime: ...


def account_resource(account: Account) -> Resource:
    """The owner's account as /account shows it."""
    created = stamp(account.created_at)
    return {
        "allow_tracking": False,
        "beta": False,
        "country_of_residence": None,
        "created_at": created,
        "default_organization": None,
        "default_team": None,
        "delinquent_at": None,
        "email": account.email,
        "federated": False,
        "id": account.id,
        "identity_provider": None,
        "last_login": None,
        "name": account.name,
        "sms_number": None,
        "suspended_at": None,
        "two_factor_authentication": False,
        "updated_at": created,
        "verified": True,
    }


def app_resource(app: App, links: Links, *, slug_size: int | None = None, repo_size: int | None = None) -> Resource:
    """Bytes: `slug_size` of the release that is served, `repo_size` of its git repository; None: not asked for."""
    stack = named(STACK, "stack")
    return {
        "acm": False,
        "archived_at": stamp(app.archived_at) if app.archived_at else None,
        "build_stack": stack,
        "buildpack_provided_description": None,
        "create_status": "complete",
        "created_at": stamp(app.created_at),
        "generation": named("cedar", "generation"),
        "git_url": links.git(app),
        "id": app.id,
        "internal_routing": False,
        "maintenance": app.maintenance,
        "name": app.name,
        "organization": None,
        "owner": {"email": app.owner_email, "id": app.owner_id},
        "region": named(REGION, "region"),
        "release_timeout": app.release_timeout,
        "released_at": stamp(app.released_at) if app.released_at else None,
        "repo_size": repo_size,
        "slug_size": slug_size,
        "space": None,
        "stack": stack,
        "team": None,
        "updated_at": stamp(app.updated_at),
        "web_url": links.web(app),
    }


def maintenance_resource(app: App, pages: Sequence[Page]) -> Resource:
    """Our own: how an app is kept in maintenance, and its pages, those in force first; the bypass key is nobody's."""
    return {
        "maintenance": app.maintenance,
        "until": stamp(app.upkeep.until) if app.upkeep.until else None,
        "pause": app.upkeep.pause,
        "allow": list(app.upkeep.allow),
        "health_path": app.upkeep.health_path,
        "pages": [
            {
                "kind": page.kind.value,
                "source": "upload" if page.source is None else page.kind.variable,
                "sha256": page.sha256,
                "size": page.size,
                "updated_at": stamp(page.updated_at),
            }
            for page in pages
        ],
    }


def own_domain(app: App, links: Links) -> Domain:
    """The domain that every app has."""
    hostname = links.hostname(app)
    return Domain(derived_id("domain", app.id, hostname), app.id, hostname, app.created_at, app.created_at)


def domain_resource(app: App, links: Links) -> Resource:
    """The same as it is shown."""
    return {**custom_domain_resource(own_domain(app, links), app, links), "kind": "heroku", "cname": None}


def custom_domain_resource(domain: Domain, app: App, links: Links) -> Resource:
    """A host name that was added; `cname` is where its DNS may point to."""
    return {
        "acm_status": None,
        "acm_status_reason": None,
        "app": app_reference(app),
        "cname": links.hostname(app),
        "created_at": stamp(domain.created_at),
        "hostname": domain.hostname,
        "id": domain.id,
        "kind": "custom",
        "sni_endpoint": None,
        "status": "none",
        "updated_at": stamp(domain.updated_at),
    }


def release_resource(release: Release, app: App, links: Links, *, current: bool) -> Resource:
    """A release. `output_stream_url` is set where a release command prints, or printed, something."""
    slug = {"id": release.build_id} if release.build_id else None
    output = links.output(app.id, "releases", str(release.version)) if release.has_output else None
    return {
        "addon_plan_names": sorted({one.plan for one in release.attachments}),
        "app": app_reference(app),
        "artifacts": [{"id": release.build_id, "type": "slug"}] if release.build_id else [],
        "created_at": stamp(release.created_at),
        "current": current,
        "description": release.description,
        "eligible_for_rollback": release.eligible_for_rollback,
        "id": release.id,
        "output_stream_url": output,
        "slug": slug,
        "status": release.status.value,
        "updated_at": stamp(release.updated_at),
        "user": user_reference(release.actor),
        "version": release.version,
    }


def release_extension(release: Release) -> Resource:
    """What `heroku releases --extended` reads of each."""
    return {"slug_id": release.build_id, "slug_uuid": release.build_id}


def release_details(release: Release, details: ReleaseDetails) -> Resource:
    """What Heroku's release lacks and `paas releases:info` shows. Config by name, never by value."""
    commit = release.commit
    return {
        **release_extension(release),
        "commit": {"sha": commit.sha, "author": commit.author, "subject": commit.subject} if commit else None,
        "image": release.artifact,
        "process_types": process_commands(release.processes),
        "formation": dict(release.formation),
        "stages": [
            {
                "stage": stage.stage,
                "detail": stage.detail,
                "at": stage.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "seconds": stage.seconds,
            }
            for stage in details.stages
        ],
        "addons": [
            {"attachment": one.attachment, "addon": one.addon, "plan": one.plan, "config_vars": list(one.variables)}
            for one in release.attachments
        ],
        "failure": details.failure,
        "exit_code": details.exit_code,
        "user": {"email": release.actor.email, "token": release.actor.token, "address": release.actor.address},
        "rollback_of": release.rollback_of,
        "diff": {
            "against": details.against,
            "config": name_diff(details.config),
            "process_types": name_diff(details.processes),
            "image_changed": details.image_changed,
            "commit_changed": details.commit_changed,
        },
    }


def name_diff(diff: NameDiff) -> Resource:
    """Names of config vars that differ, never values."""
    return {"added": list(diff.added), "removed": list(diff.removed), "changed": list(diff.changed)}


def build_resource(build: Build, app: App, links: Links, *, release_id: str | None) -> Resource:
    """`release_id` is that of the release the build became, if it did."""
    commit = build.commit
    return {
        "app": {"id": app.id},
        "buildpacks": [],  # not null, which heroku-builds stumbles over
        "created_at": stamp(build.created_at),
        "failure": build.failure,
        "generation": "cedar",
        "id": build.id,
        "output_stream_url": links.output(app.id, "builds", build.id),
        "release": {"id": release_id} if release_id else None,
        "slug": {"id": build.id} if build.status is BuildStatus.SUCCEEDED else None,
        "source_blob": {
            "checksum": None,
            "url": links.git(app),
            "version": commit.sha if commit else None,
            "version_description": commit.subject if commit else None,
        },
        "stack": build.stack or STACK,
        "status": build.status.value,
        "updated_at": stamp(build.updated_at),
        "user": user_reference(build.actor),
    }


def slug_resource(build: Build, app: App, links: Links) -> Resource:
    """A build that succeeded, under the same id. `checksum` is its image's digest; its blob is the repository."""
    return {
        "blob": {"method": "GET", "url": links.git(app)},
        "buildpack_provided_description": build.builder,
        "checksum": build.artifact,
        "commit": build.commit.sha if build.commit else None,
        "commit_description": build.commit.subject if build.commit else None,
        "created_at": stamp(build.created_at),
        "deleted_at": None,
        "id": build.id,
        "process_types": {kind: command or "" for kind, command in process_commands(build.processes).items()},
        "size": build.size,
        "stack": named(build.stack or STACK, "stack"),
        "updated_at": stamp(build.updated_at),
    }


def formation_resource(formation: Formation, command: str | None, app: App) -> Resource:
    """One process type with its wanted quantity."""
    return {
        "app": app_reference(app),
        "command": command or "",
        "created_at": stamp(app.created_at),
        "dyno_size": named(formation.size, "dyno-size"),
        "id": derived_id("formation", app.id, formation.type),
        "quantity": formation.quantity,
        "size": formation.size,
        "type": formation.type,
        "updated_at": stamp(app.updated_at),
    }


def dyno_resource(dyno: Dyno, app: App, *, extended: bool = False) -> Resource:
    """A dyno's id is derived from the engine's name for it, which is unique over all time."""
    resource: Resource = {
        "app": app_reference(app),
        "attach_url": None,
        "command": dyno.command or "",
        "created_at": stamp(dyno.created_at),
        "id": dyno_uuid(dyno),
        "name": dyno.name,
        "release": {"id": dyno.release_id, "version": dyno.release_version},
        "size": dyno.size,
        "state": dyno.state.value,
        "type": dyno.type,
        "updated_at": stamp(dyno.started_at or dyno.created_at),
    }
    if extended:
        where = {"az": None, "execution_plane": None, "fleet": None, "route": None}
        reason = dyno.exit.describe() if dyno.exit is not None else None  # of ours: why it is down
        resource["extended"] = {**where, "instance": dyno.id, "ip": dyno.address, "port": dyno.port, "reason": reason}
    return resource


def dyno_uuid(dyno: Dyno) -> str:
    """A dyno's id on the wire: the same for as long as the dyno is there."""
    return derived_id("dyno", dyno.id)


def log_session_resource(identity: str, now: datetime, url: str) -> Resource:
    """Where a log can be read until the address expires."""
    return {"created_at": stamp(now), "id": identity, "logplex_url": url, "updated_at": stamp(now)}


def region_resource() -> Resource:
    """The one region there is."""
    return {
        **named(REGION, "region"),
        "country": "This machine",
        "created_at": BUILT_IN_SINCE,
        "description": "This machine",
        "locale": "Here",
        "private_capable": False,
        "provider": {"name": "paasd", "region": REGION},
        "updated_at": BUILT_IN_SINCE,
    }


def stack_resource() -> Resource:
    """The one stack there is."""
    built_in = {"created_at": BUILT_IN_SINCE, "updated_at": BUILT_IN_SINCE}
    return {**named(STACK, "stack"), **built_in, "default": True, "state": "public"}


def router_resource(status: RouterStatus) -> Resource:
    """Our own: what `paas router status` shows."""
    return {
        "listen": status.listen,
        "pid": status.pid,
        "started_at": status.started_at,
        "status": status.status,
        "table": status.table,
    }


def process_commands(processes: ProcessTypes) -> Mapping[str, str | None]:
    """Process type -> command, `release` among them as on Heroku; None is the image's own command."""
    return {**processes.commands, **({RELEASE: processes.release} if processes.release else {})}


def of_app(one: Dated, app: App) -> Resource:
    """What everything tells that belongs to an app: its id, its app, when it was made and changed."""
    times = {"created_at": stamp(one.created_at), "updated_at": stamp(one.updated_at)}
    return {"app": app_reference(app), "id": one.id, **times}


def app_reference(app: App) -> Resource:
    """An app where another resource names it."""
    return {"id": app.id, "name": app.name}


def user_reference(actor: Actor) -> Resource:
    """An account where another resource names it."""
    return {"email": actor.email, "id": actor.account_id}


def named(name: str, kind: str) -> Resource:
    """A thing that is known by its name; its id is derived from that."""
    return {"id": derived_id(kind, name), "name": name}


def derived_id(*parts: str) -> str:
    """A UUID that is the same whenever the parts are."""
    return str(uuid.uuid5(NAMESPACE, "/".join(parts)))


def stamp(at: datetime) -> str:
    """A time as Heroku writes it: `2026-11-23T06:00:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
