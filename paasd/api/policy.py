"""Who may call which route: the scope a token needs, and the permission on the app. Default-deny.

A route that stands nowhere here is for admins only; a test fails until it is given a row.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from paasd.domain.access import Permission, Scope


@dataclass(frozen=True, slots=True)
class Policy:
    """What a call needs. `permission` is on the app that the path names; `admin` is for the daemon's admins alone."""

    scope: Scope
    permission: Permission | None = None
    admin: bool = False


ADMIN = Policy(Scope.GLOBAL, admin=True)
ACCOUNT_ROUTES: Mapping[Scope, str] = {
    Scope.IDENTITY: """
        GET /account
        GET /account/features
        GET /account/features/{feature}
        GET /account/rate-limits
        GET /users/{user}
        GET /teams
        GET /teams/{team}
        GET /teams/{team}/apps
        GET /teams/{team}/members
        GET /teams/{team}/invitations
        GET /enterprise-accounts
        GET /enterprise-accounts/{enterprise}
        GET /spaces
        GET /spaces/{space}
        GET /regions
        GET /regions/{region}
        GET /dyno-sizes
        GET /dyno-sizes/{size}
        GET /stacks
        GET /stacks/{stack}
        GET /addon-services
        GET /addon-services/{service}
        GET /addon-services/{service}/plans
        GET /paasd/ca
    """,
    Scope.READ: """
        GET /apps
        GET /users/{user}/apps
        GET /addons
        GET /addons/{addon}
        GET /addons/{addon}/addon-attachments
        GET /addon-attachments
        GET /addon-attachments/{attachment}
        GET /pipelines
        GET /pipelines/{pipeline}
        GET /pipelines/{pipeline}/pipeline-couplings
        GET /pipelines/{pipeline}/review-app-config
        GET /pipelines/{pipeline}/review-apps
        GET /pipeline-couplings
        GET /pipeline-promotions/{promotion}
        POST /actions/addons/resolve
        POST /actions/addon-attachments/resolve
        POST /filters/apps
    """,
    Scope.WRITE: """
        POST /apps
        POST /sources
        POST /addon-attachments
        DELETE /addon-attachments/{attachment}
        POST /pipelines
        PATCH /pipelines/{pipeline}
        DELETE /pipelines/{pipeline}
        POST /pipeline-couplings
        PATCH /pipeline-couplings/{coupling}
        DELETE /pipeline-couplings/{coupling}
        POST /pipeline-promotions
        POST /teams
        POST /teams/apps
        POST /spaces
    """,
    Scope.READ_PROTECTED: """
        GET /addons/{addon}/config
        GET /client/v11/databases/{database}
        GET /client/v11/databases/{database}/links
        GET /client/v11/databases/{database}/transfer-schedules
        GET /client/v11/databases/{database}/wait_status
        GET /postgres/v0/databases/{database}/config
        GET /postgres/v0/databases/{database}/credentials
        GET /postgres/v0/databases/{database}/credentials/{credential}
        GET /redis/v0/databases/{database}
        GET /redis/v0/databases/{database}/wait
    """,
    Scope.WRITE_PROTECTED: """
        DELETE /client/v11/databases/{database}/transfer-schedules/{schedule}
        DELETE /postgres/v0/databases/{database}/credentials/{credential}
        PATCH /postgres/v0/databases/{database}/config
        PATCH /redis/v0/databases/{database}/config
        POST /client/v11/databases/{database}/backups
        POST /client/v11/databases/{database}/connection-pooling
        POST /client/v11/databases/{database}/connection_reset
        POST /client/v11/databases/{database}/links
        POST /client/v11/databases/{database}/restores
        POST /client/v11/databases/{database}/transfer-schedules
        POST /client/v11/databases/{database}/transfers
        POST /client/v11/databases/{database}/upgrade/run
        POST /paasd/databases/{database}/psql
        POST /paasd/databases/{database}/redis-cli
        POST /postgres/v0/databases/{database}/credentials
        POST /postgres/v0/databases/{database}/credentials/{credential}/credentials_rotation
        POST /postgres/v0/databases/{database}/credentials_rotation
        POST /postgres/v0/databases/{database}/repair-default
        POST /redis/v0/databases/{database}/credentials_rotation
        POST /redis/v0/databases/{database}/stats/reset
        POST /redis/v0/databases/{database}/upgrade
        PUT /client/v11/databases/{database}/reset
        PUT /client/v11/databases/{database}/stats_reset
        PUT /client/v11/databases/{database}/unfollow
    """,
    Scope.GLOBAL: """
        GET /account/keys
        POST /account/keys
        GET /account/keys/{key}
        DELETE /account/keys/{key}
        PATCH /account
        PATCH /account/features/{feature}
        POST /account/app-transfers
        GET /oauth/authorizations
        POST /oauth/authorizations
        GET /oauth/authorizations/{authorization}
        PATCH /oauth/authorizations/{authorization}
        DELETE /oauth/authorizations/{authorization}
        POST /oauth/authorizations/{authorization}/actions/regenerate-tokens
        GET /oauth/sessions
        DELETE /oauth/sessions/{session}
    """,
}
APP_ROUTES: Mapping[tuple[Scope, Permission], str] = {
    (Scope.READ, Permission.VIEW): """
        GET /apps/{app}
        GET /apps/{app}/addons
        GET /apps/{app}/available-dyno-sizes
        GET /apps/{app}/addons/{addon}
        GET /apps/{app}/addon-attachments
        GET /apps/{app}/addon-attachments/{attachment}
        GET /apps/{app}/buildpack-installations
        GET /apps/{app}/collaborators
        GET /apps/{app}/collaborators/{collaborator}
        GET /apps/{app}/domains
        GET /apps/{app}/domains/{domain}
        GET /apps/{app}/dynos
        GET /apps/{app}/dynos/{dyno}
        GET /apps/{app}/features
        GET /apps/{app}/features/{feature}
        GET /apps/{app}/formation
        GET /apps/{app}/maintenance
        GET /apps/{app}/formation/{type}
        GET /apps/{app}/pipeline-couplings
        GET /apps/{app}/review-app
        GET /apps/{app}/sni-endpoints
        GET /apps/{app}/sni-endpoints/{endpoint}
    """,
    (Scope.READ_PROTECTED, Permission.VIEW): """
        GET /apps/{app}/builds
        GET /apps/{app}/builds/{build}
        GET /apps/{app}/releases
        GET /apps/{app}/releases/{release}
        GET /apps/{app}/slugs/{slug}
        POST /apps/{app}/log-sessions
    """,
    (Scope.READ_PROTECTED, Permission.OPERATE): """
        GET /apps/{app}/config-vars
        GET /apps/{app}/log-drains
        GET /apps/{app}/log-drains/{drain}
        GET /apps/{app}/webhooks
        GET /apps/{app}/webhooks/{webhook}
        GET /apps/{app}/webhook-deliveries
        GET /apps/{app}/webhook-deliveries/{delivery}
        GET /apps/{app}/webhook-events
        GET /apps/{app}/webhook-events/{event}
        GET /apps/{app}/releases/{release}/config-vars
        GET /client/v11/apps/{app}/transfers
        GET /client/v11/apps/{app}/transfers/{transfer}
    """,
    (Scope.WRITE, Permission.OPERATE): """
        PATCH /apps/{app}
        PATCH /apps/{app}/formation
        PATCH /apps/{app}/maintenance
        POST /apps/{app}/maintenance/bypass
        PUT /apps/{app}/maintenance-page
        DELETE /apps/{app}/maintenance-page
        PUT /apps/{app}/error-page
        DELETE /apps/{app}/error-page
        PATCH /apps/{app}/formation/{type}
        DELETE /apps/{app}/dynos
        DELETE /apps/{app}/dynos/{dyno}
        DELETE /apps/{app}/formations/{type}
        POST /apps/{app}/domains
        PATCH /apps/{app}/domains/{domain}
        DELETE /apps/{app}/domains/{domain}
        PATCH /apps/{app}/features/{feature}
        PUT /apps/{app}/buildpack-installations
        POST /apps/{app}/addons
        POST /apps/{app}/addons/actions/undestroy
        PATCH /apps/{app}/addons/{addon}
        DELETE /apps/{app}/addons/{addon}
        POST /apps/{app}/sni-endpoints
        PATCH /apps/{app}/sni-endpoints/{endpoint}
        DELETE /apps/{app}/sni-endpoints/{endpoint}
        POST /apps/{app}/acm
        PATCH /apps/{app}/acm
        DELETE /apps/{app}/acm
        POST /apps/{app}/dynos/{dyno}/actions/stop
        POST /apps/{app}/formations/{type}/actions/stop
    """,
    (Scope.WRITE_PROTECTED, Permission.OPERATE): """
        PATCH /apps/{app}/config-vars
        POST /apps/{app}/log-drains
        DELETE /apps/{app}/log-drains/{drain}
        POST /apps/{app}/webhooks
        PATCH /apps/{app}/webhooks/{webhook}
        DELETE /apps/{app}/webhooks/{webhook}
        POST /apps/{app}/webhook-deliveries/{delivery}/actions/retry
        POST /apps/{app}/dynos
        POST /apps/{app}/dynos/{dyno}
        POST /client/v11/apps/{app}/transfers/{transfer}/actions/cancel
        POST /client/v11/apps/{app}/transfers/{transfer}/actions/public-url
        DELETE /client/v11/apps/{app}/transfers/{transfer}
    """,
    (Scope.WRITE_PROTECTED, Permission.DEPLOY): """
        POST /apps/{app}/releases
        POST /apps/{app}/builds
        POST /apps/{app}/sources
        DELETE /apps/{app}/builds/{build}
        DELETE /apps/{app}/build-cache
    """,
    (Scope.WRITE, Permission.MANAGE): """
        DELETE /apps/{app}
        POST /apps/{app}/collaborators
        PATCH /apps/{app}/collaborators/{collaborator}
        DELETE /apps/{app}/collaborators/{collaborator}
    """,
    (Scope.GLOBAL, Permission.MANAGE): """
        GET /apps/{app}/audit
    """,
}
ADMIN_ROUTES = """
    PATCH /addons/{addon}/config
    POST /addons/{addon}/actions/deprovision
    POST /addons/{addon}/actions/provision
    GET /paasd/accounts
    POST /paasd/accounts
    DELETE /paasd/accounts/{account}
    GET /paasd/audit
    GET /paasd/disk
    GET /paasd/process
    GET /paasd/router
    POST /paasd/router/stop
    POST /paasd/router/upgrade
"""


def _read(listed: str) -> Iterator[str]:
    return (line.strip() for line in listed.splitlines() if line.strip())


def _all() -> Iterator[tuple[str, Policy]]:
    for scope, listed in ACCOUNT_ROUTES.items():
        yield from ((route, Policy(scope)) for route in _read(listed))
    for (scope, permission), listed in APP_ROUTES.items():
        yield from ((route, Policy(scope, permission)) for route in _read(listed))
    yield from ((route, ADMIN) for route in _read(ADMIN_ROUTES))


POLICIES: Mapping[str, Policy] = dict(_all())


def policy_of(method: str, path: str) -> Policy:
    """Of a route by its pattern ("/apps/{app}"). HEAD is read as GET."""
    return POLICIES.get(f"{'GET' if method == 'HEAD' else method} {path}", ADMIN)


def unlisted(routes: Iterable[tuple[str, str]]) -> list[str]:
    """Those (method, pattern) that have no row here."""
    named = (f"{method} {path}" for method, path in routes if method != "HEAD")
    return sorted(name for name in named if name not in POLICIES)
