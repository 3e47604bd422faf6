"""Port Authority: who signs the certificates that https is answered with."""

from collections.abc import Sequence
from typing import Protocol


class Authority(Protocol):
    """A certificate authority of our own. Blocking, and quick: a key and a signature."""

    @property
    def name(self) -> str:
        """Tells this authority from one made anew in its place."""

    def covers(self, name: str) -> bool:
        """Whether a certificate for this host name would be believed by those who trust the authority."""

    def issue(self, names: Sequence[str]) -> str:
        """A fresh key and its certificate for these names, as PEM; good for CERTIFICATE_DAYS."""
