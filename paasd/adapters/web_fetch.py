"""Web on aiohttp: a host is resolved once, its addresses are checked, and only those are connected to.

What is checked is what is used, so that a name which changes its mind in between (DNS rebinding) gains nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from paasd.domain.errors import InvalidParams, WebUnavailable
from paasd.ports import WebReply

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

REDIRECTS = 3
RESOLVE_SECONDS = 5.0
REDIRECT_STATUSES = frozenset((301, 302, 303, 307, 308))
CHUNK = 64 * 1024
# Global by the book, and yet a way to addresses that are not (6to4 and its relays, Teredo, NAT64, IPv4 within IPv6,
# site-local), or where clouds answer a machine of theirs alone, also with its secrets: Oracle's, Azure's.
NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("2002::/16", "192.88.99.0/24", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48"),
        *("::/96", "::ffff:0:0:0/96", "fec0::/10"),
        *("192.0.0.0/24", "168.63.129.16/32"),
    )
)


class WebFetch:
    """Asks servers at public addresses, and at those in `allowed`. Environment proxies are not heeded."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed: tuple[Network, ...] = tuple(ipaddress.ip_network(network) for network in allowed)

    async def check(self, url: str) -> None:
        """InvalidParams unless the URL can be asked, as far as can be told now."""
        await self.check_host(_host_of(url))

    async def check_host(self, host: str) -> None:
        """InvalidParams when one of its addresses is not to be asked. Unknown now: fine."""
        try:
            await self.addresses(host)
        except WebUnavailable:
            return

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int,
        seconds: float,
    ) -> WebReply:
        """The answer, read to its end. InvalidParams, WebUnavailable."""
        async with self.stream(url, method=method, headers=headers, body=body, seconds=seconds) as response:
            read = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK):
                read += chunk
                if len(read) > max_bytes:
                    raise WebUnavailable(f"{_host_of(url)} sent more than {max_bytes} bytes: serve something smaller.")
            return WebReply(response.status, dict(response.headers), bytes(read))

    async def download(self, url: str, target: Path, *, max_bytes: int, seconds: float) -> int:
        """A GET's body, written to a file as it comes; the status. InvalidParams, WebUnavailable."""
        async with self.stream(url, seconds=seconds) as response:
            size = 0
            with target.open("wb") as file:
                async for chunk in response.content.iter_chunked(CHUNK):
                    size += len(chunk)
                    if size > max_bytes:
                        raise WebUnavailable(
                            f"{_host_of(url)} sent more than {max_bytes} bytes: serve something smaller."
                        )
                    await asyncio.to_thread(file.write, chunk)
            return response.status

    async def chunks(self, url: str, *, seconds: float) -> AsyncGenerator[bytes]:
        """What a GET of the URL brings, as it comes. WebUnavailable, also unless it answers with 200; InvalidParams."""
        async with self.stream(url, seconds=seconds) as response:
            if response.status != 200:
                raise WebUnavailable(
                    f"{_host_of(url)} answered with HTTP {response.status}: see that this can be downloaded."
                )
            async for chunk in response.content.iter_chunked(CHUNK):
                yield chunk

    @asynccontextmanager
    async def stream(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        seconds: float,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, to be read within the block; all of it within `seconds`. InvalidParams, WebUnavailable."""
        host = _host_of(url)
        try:
            async with asyncio.timeout(seconds):
                async with self._session(url, method, dict(headers or {}), body) as response:
                    yield response
        except TimeoutError as error:
            raise WebUnavailable(f"{host} did not answer in whole within {seconds:g} seconds: try again.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise WebUnavailable(f"{host} can't be reached ({type(error).__name__}): see that it answers.") from error

    @asynccontextmanager
    async def _session(
        self, url: str, method: str, headers: dict[str, str], body: bytes | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        given = {"User-Agent": "paasd", "Accept-Encoding": "identity", **headers}
        for _ in range(REDIRECTS + 1):
            host = _host_of(url)
            connector = aiohttp.TCPConnector(resolver=Pinned(await self.addresses(host)), use_dns_cache=False)
            async with (
                aiohttp.ClientSession(connector=connector, auto_decompress=False, trust_env=False) as session,
                session.request(method, url, headers=given, data=body, allow_redirects=False) as response,
            ):
                location = response.headers.get("Location")
                if response.status in REDIRECT_STATUSES and location and method in ("GET", "HEAD"):
                    url = urljoin(url, location)
                    continue
                if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise WebUnavailable(f"{host} sent something packed, though it was told not to: serve it plainly.")
                yield response
                return
        raise WebUnavailable(f"{host} leads from URL to URL: give the one at the end.")

    async def addresses(self, host: str) -> list[str]:
        """Every address of a host. InvalidParams when one of them is not to be asked; WebUnavailable without any."""
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise WebUnavailable(f"The host name {host} can't be resolved: check it, and the DNS here.") from error
        addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
        for address in addresses:
            if not self._may_ask(ipaddress.ip_address(address)):
                raise InvalidParams(
                    f"{host} is at {address}, which is not a public address: give a public URL, "
                    "or have web.allow_private in paasd.yaml name its network."
                )
        return addresses

    def _may_ask(self, address: Address) -> bool:
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self._allowed):
            return True
        return address.is_global and not address.is_multicast and not any(address in each for each in NOT_PUBLIC)


class Pinned(AbstractResolver):
    """Knows one host, by the addresses that were checked."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        families = {text: socket.AF_INET6 if ":" in text else socket.AF_INET for text in self._addresses}
        return [
            ResolveResult(hostname=host, host=text, port=port, family=of, proto=0, flags=socket.AI_NUMERICHOST)
            for text, of in families.items()
            if family in (socket.AF_UNSPEC, of)
        ]

    async def close(self) -> None:
        return None


def _host_of(url: str) -> str:
    """The host to ask. InvalidParams for what is no http(s) URL."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    else:
        if parts.scheme not in ("http", "https") or any(not 32 < ord(character) < 127 for character in url):
            host = None
        elif parts.username is not None or parts.password is not None:
            raise InvalidParams("The URL holds a user name or password: give one without, such as https://HOST/page.")
    if not host:
        raise InvalidParams("The URL can't be asked: write it in whole, such as https://www.example.org/page.html.")
    return host
