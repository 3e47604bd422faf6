"""Where clients of `heroku run` in SSH mode come in.

SSH itself is imported with the first of them: few daemons see one, and it is 7 MB.
"""

import asyncio
import socket
from typing import Any

from paasd.services.background import Background
from paasd.services.one_off import Offer, OneOffs, ToolOffer


class SshDoor:
    """Serves one SSH session a connection."""

    def __init__(self, one_offs: OneOffs, background: Background) -> None:
        self._one_offs = one_offs
        self._background = background
        self._key: Any = None

    async def serve(self, offer: Offer | ToolOffer, connection: socket.socket) -> None:
        """Until the session is over. Whoever comes and opens none is let go."""
        from paasd.api.ssh_session import hold_session, make_key

        if self._key is None:
            self._key = await asyncio.to_thread(make_key)
        await hold_session(self._one_offs, self._background, offer, connection, self._key)
