"""The wire format of people, their tokens and keys, and of the audit: domain values in, resources out. Pure."""

from datetime import UTC, datetime
from typing import Any

from paasd.api.resources import app_reference, derived_id, stamp
from paasd.domain.access import Account, Collaborator, Permission, PublicKey, Token
from paasd.domain.app import App
from paasd.domain.audit import Entry

Resource = dict[str, Any]

HIDDEN = "**********"  # a token that was told once and is kept nowhere


def authorization_resource(token: Token, account: Account, secret: str | None = None) -> Resource:
    """`secret` is told to who has just made it, or asks with it."""
    left = None if token.expires_at is None else max(0, int((token.expires_at - datetime.now(UTC)).total_seconds()))
    return {
        "access_token": {
            "expires_in": left,
            "id": derived_id("access-token", token.id, token.sha256[:8]),
            "token": secret or HIDDEN,
        },
        "client": None,
        "created_at": stamp(token.created_at),
        "description": token.name,
        "grant": None,
        "id": token.id,
        "refresh_token": None,
        "scope": [scope.value for scope in token.scopes],
        "session": None,
        "updated_at": stamp(token.created_at),
        "user": {"email": account.email, "full_name": account.name, "id": account.id},
    }


def session_resource(token: Token) -> Resource:
    """A login."""
    left = None if token.expires_at is None else max(0, int((token.expires_at - datetime.now(UTC)).total_seconds()))
    return {
        "created_at": stamp(token.created_at),
        "description": token.name,
        "expires_in": left,
        "id": token.id,
        "updated_at": stamp(token.created_at),
    }


def key_resource(key: PublicKey, account: Account) -> Resource:
    """An SSH key."""
    return {
        "comment": key.comment,
        "created_at": stamp(key.created_at),
        "email": account.email,
        "fingerprint": key.fingerprint,
        "id": key.id,
        "public_key": key.public_key,
        "updated_at": stamp(key.created_at),
    }


def owner_resource(app: App) -> Resource:
    """The owner among the collaborators."""
    created = stamp(app.created_at)
    return {
        "app": app_reference(app),
        "created_at": created,
        "id": derived_id("collaborator", app.id, app.owner_id),
        "permissions": [permission_resource(permission) for permission in Permission],
        "role": "owner",
        "updated_at": created,
        "user": {"email": app.owner_email, "federated": False, "id": app.owner_id},
    }


def collaborator_resource(one: Collaborator, app: App) -> Resource:
    """Somebody who may do something to the app."""
    return {
        "app": app_reference(app),
        "created_at": stamp(one.created_at),
        "id": one.id,
        "permissions": [permission_resource(permission) for permission in Permission if permission in one.permissions],
        "role": "collaborator",
        "updated_at": stamp(one.updated_at),
        "user": {"email": one.email, "federated": False, "id": one.account_id},
    }


WORDS = {
    Permission.VIEW: "See the app, its releases and its log",
    Permission.OPERATE: "Config vars, maintenance, scale, restart, run",
    Permission.DEPLOY: "Push, release and roll back",
    Permission.MANAGE: "Rename, share, give away and destroy",
}


def permission_resource(permission: Permission) -> Resource:
    """One permission with what it is for."""
    return {"description": WORDS[permission], "name": permission.value}


def transfer_resource(before: App, after: App) -> Resource:
    """An app that has got another owner."""
    now = stamp(datetime.now(UTC))
    return {
        "app": app_reference(after),
        "created_at": now,
        "id": derived_id("transfer", after.id, now),
        "owner": {"email": before.owner_email, "id": before.owner_id},
        "recipient": {"email": after.owner_email, "id": after.owner_id},
        "state": "accepted",
        "updated_at": now,
    }


def person_resource(account: Account) -> Resource:
    """An account as admins see it."""
    return {
        "admin": account.admin,
        "created_at": stamp(account.created_at),
        "email": account.email,
        "id": account.id,
        "name": account.name,
    }


def audit_resource(entry: Entry) -> Resource:
    """One write."""
    return {
        "address": entry.actor.address,
        "app": {"id": entry.app_id, "name": entry.app_name} if entry.app_id else None,
        "at": entry.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "detail": dict(entry.detail),
        "id": entry.id,
        "method": entry.method,
        "path": entry.path,
        "request_id": entry.request_id,
        "status": entry.status,
        "token": entry.actor.token,
        "user": {"email": entry.actor.email, "id": entry.actor.account_id},
    }
