"""The error tree. Every message is one sentence that says what happened and what to do about it.

PaasError
  NotFound               the thing named is not here
  Unauthorized           no token, or a wrong one
  Forbidden              this token, or this account, may not do this
  InvalidParams          the request can't be meant as it stands
    Ambiguous            a name that could mean several things
    ConfirmationRequired a destructive call wants its confirmation
  Conflict               right in itself, but not now
    ReleaseInProgress    another release of this app is under way
  DeployFailed           a result to store, not a fault to log
    BuildFailed          the source did not become an artifact
    ReleasePhaseFailed   the release command did not exit 0
    DynoUnhealthy        a new dyno did not come up
    DeployCancelled      the pusher went away, or the daemon was told to stop
  ProviderFailed         an add-on could not be provided
  Unavailable            a part we need does not answer; worth another try
    EngineUnavailable
    RouterUnavailable
    StoreUnavailable
    DiskFull
    WebUnavailable         somebody else's server, at a URL we were given
"""


class PaasError(Exception):
    """Root of all expected errors.

    `message` is for the person who asked; `resource` is Heroku's word for what it concerns.
    """

    def __init__(self, message: str, *, resource: str | None = None, app: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.resource = resource
        self.app = app


class NotFound(PaasError):
    """The thing named is not here (or is not the caller's to see)."""


class Unauthorized(PaasError):
    """No token, or a wrong one."""


class Forbidden(PaasError):
    """This token, or this account, may not do this."""


class InvalidParams(PaasError):
    """The request can't be meant as it stands."""


class Ambiguous(InvalidParams):
    """A name that could mean several things."""


class ConfirmationRequired(InvalidParams):
    """A destructive call came without the confirmation it needs."""


class Conflict(PaasError):
    """The request is right in itself, but the thing is not in a state for it."""


class ReleaseInProgress(Conflict):
    """Another release of this app is under way."""


class DeployFailed(PaasError):
    """A deploy came to a bad end. The message is stored with the release and shown to whoever caused it.

    `exit_code` is the failed command's, where there was one.
    """

    def __init__(self, message: str, *, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class BuildFailed(DeployFailed):
    """The source did not become an artifact."""


class ReleasePhaseFailed(DeployFailed):
    """The release command did not exit 0."""


class DynoUnhealthy(DeployFailed):
    """A new dyno did not come up."""


class DeployCancelled(DeployFailed):
    """The pusher went away, or the daemon was told to stop."""


class ProviderFailed(PaasError):
    """An add-on could not be provided, and trying the same again won't help."""


class Unavailable(PaasError):
    """A part we need does not answer. Worth another try."""


class EngineUnavailable(Unavailable):
    """The engine does not answer."""


class RouterUnavailable(Unavailable):
    """The router does not answer."""


class StoreUnavailable(Unavailable):
    """The store can't be read or written (disk full, locked, gone)."""


class DiskFull(Unavailable):
    """There is no room for a build."""


class WebUnavailable(Unavailable):
    """A server that we were told to ask does not answer as it should."""
