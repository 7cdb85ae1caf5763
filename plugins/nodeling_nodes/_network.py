"""HTTP for the nodes that speak it, through a guard that no name, redirect or changed record gets around.

Invariant: a connection is opened only to an address that was checked, the resolved one, at the moment it is
opened. Private, loopback, link-local and other addresses that are not the public internet's are refused
unless they, or the host's name, are allowed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from nodeling import NodeError, PluginError

try:
    import httpcore
    import httpx
except ModuleNotFoundError as error:
    raise PluginError("this node needs httpx", hint="pip install 'nodeling[http]'") from error

ALLOW = "NODELING_HTTP_ALLOW"
MAX_REDIRECTS = 20
TRANSIENT = {408: 5000, 425: 5000, 429: 5001, 500: 5000, 502: 5000, 503: 5005, 504: 5000, 529: 5002}
REFUSED = {400: 4001, 401: 4003, 403: 4003, 404: 4004, 405: 4010, 410: 4004, 413: 4005, 422: 4001}
MAX_SHOWN = 500  # characters of an answer that an error quotes
LONGEST_RETRY_AFTER_MS = 86_400_000
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Net = ipaddress.IPv4Network | ipaddress.IPv6Network


class Allowed:
    """The hosts and networks that may be reached although they are not public."""

    def __init__(self, entries: Iterable[str]) -> None:
        self.hosts: set[str] = set()
        self.networks: list[Net] = []
        for entry in entries:
            word = entry.strip().lower()
            if not word:
                continue
            try:
                self.networks.append(ipaddress.ip_network(word.strip("[]"), strict=False))
            except ValueError:
                if "/" in word or ":" in word:
                    raise NodeError(
                        f"{entry!r} is neither a host nor a network",
                        code=4002,
                        retryable=False,
                        hint="as in localhost, 10.0.0.0/8, ::1",
                    ) from None
                self.hosts.add(word.rstrip("."))

    def __contains__(self, where: tuple[str, Address]) -> bool:
        host, address = where
        if host.lower().rstrip(".") in self.hosts:
            return True
        plain = embedded(address) or address
        return any(one in network for network in self.networks for one in (address, plain))


def allowed(node: Iterable[str] = ()) -> Allowed:
    """What the environment and the node allow."""
    return Allowed([*os.environ.get(ALLOW, "").split(","), *node])


def embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in ipaddress.ip_network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, in whatever form it is written."""
    inner = embedded(address)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast


class Guard(httpcore.AsyncNetworkBackend):
    """Opens connections, to checked addresses alone."""

    def __init__(self, open_to: Allowed) -> None:
        self._allowed = open_to
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check every address, and connect to one of those that were checked."""
        try:
            found = await asyncio.wait_for(_resolve(host, port), timeout)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} was not resolved in {timeout:g} s") from error
        except UnicodeError as error:
            raise NodeError(f"{host!r:.80} is no name of a host", code=4001, retryable=False) from error
        except OSError as error:
            raise httpcore.ConnectError(f"{host} is not known: {error.strerror or error}") from error
        for address in found:
            if not is_public(address) and (host, address) not in self._allowed:
                raise Refused(host, address)
        last: Exception | None = None
        for address in found:
            try:
                return await self._inner.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last or httpcore.ConnectError(f"{host} has no address")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Any = None
    ) -> httpcore.AsyncNetworkStream:
        """Never: a path is no address that could be checked."""
        raise httpcore.ConnectError("unix sockets are not opened")

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


class Refused(NodeError):
    """The address may not be reached."""

    def __init__(self, host: str, address: Address) -> None:
        where = str(address) if host == str(address) else f"{host} ({address})"
        super().__init__(
            f"{where} is not a public address",
            code=4003,
            retryable=False,
            hint=f"allow it: `allow: [{host}]` on the step, or {ALLOW}={host}",
            details={"host": host, "address": str(address)},
        )


async def _resolve(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    texts = dict.fromkeys(str(info[4][0]).partition("%")[0] for info in infos)
    return [ipaddress.ip_address(text) for text in texts]


class Transport(httpx.AsyncBaseTransport):
    """httpx's requests over a pool whose connections the guard opens."""

    def __init__(self, open_to: Allowed, context: ssl.SSLContext) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context, network_backend=Guard(open_to), max_connections=1, retries=0
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; its answer's body is still to come."""
        url = request.url
        answer = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close its connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._answer.aiter_stream():
            yield part

    async def aclose(self) -> None:
        await self._answer.aclose()


def client(open_to: Allowed, timeout: float, *, verify: bool | str = True) -> httpx.AsyncClient:
    """A client for one call. It follows no redirect by itself and asks the environment for no proxy."""
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is False:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return httpx.AsyncClient(
        transport=Transport(open_to, context), timeout=timeout, trust_env=False, follow_redirects=False
    )


def failure(error: Exception, url: str) -> NodeError:
    """What went wrong on the way, as a node's error."""
    if isinstance(error, NodeError):
        return error
    said = str(error) or type(error).__name__
    if isinstance(error, WRONG):
        return NodeError(f"{origin(url)} cannot be asked: {said}", code=4001, retryable=False)
    if isinstance(error, (httpcore.ConnectError, httpcore.ConnectTimeout)):
        return NodeError(f"{origin(url)} cannot be reached: {said}", code=5005, retryable=True)
    if isinstance(error, (httpcore.TimeoutException, httpx.TimeoutException)):
        return NodeError(f"{origin(url)} did not answer in time: {said}", code=5000, retryable=True)
    return NodeError(f"{origin(url)} broke off: {said}", code=5000, retryable=True)


WRONG = (  # with the request itself
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
    httpcore.UnsupportedProtocol,
    httpcore.LocalProtocolError,
    UnicodeError,
)
ERRORS = (
    UnicodeError,
    httpx.HTTPError,
    httpx.InvalidURL,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
)


def origin(url: str) -> str:
    """Whom an address asks, without what a URL may hold of secrets."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "the server"
    return f"{parsed.scheme}://{parsed.host}" + (f":{parsed.port}" if parsed.port else "")


def refusal_of(status: int, url: str, headers: Mapping[str, str], said: str) -> NodeError:
    """The error of an answer that is no success."""
    details: dict[str, Any] = {"status": status, "body": said[:MAX_SHOWN]}
    wait = retry_after_ms(headers.get("retry-after")) if status in TRANSIENT else None
    code = TRANSIENT.get(status) or REFUSED.get(status) or (5000 if status >= 500 else 4000)
    return NodeError(
        f"{origin(url)} answered {status}",
        code=code,
        retryable=status in TRANSIENT,
        retry_after_ms=wait,
        details=details,
    )


def retry_after_ms(text: str | None) -> int | None:
    """How long an answer asks to wait: seconds, or a date."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return min(int(text) * 1_000, LONGEST_RETRY_AFTER_MS) if len(text.strip()) < 10 else None
    from email.utils import parsedate_to_datetime
    from time import time

    try:
        left = parsedate_to_datetime(text).timestamp() - time()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0, round(left * 1_000)), LONGEST_RETRY_AFTER_MS)


async def read_bounded(answer: httpx.Response, limit: int, url: str) -> bytes:
    """The body, as long as it is not larger than the bound."""
    return b"".join([part async for part in pieces(answer, limit, url)])


async def pieces(answer: httpx.Response, limit: int, url: str) -> AsyncIterator[bytes]:
    """The body piece by piece, decoded, until it is larger than the bound."""
    size = 0
    async for part in answer.aiter_bytes(64 * 1024):
        size += len(part)
        if size > limit:
            raise NodeError(
                f"{origin(url)} sent more than {limit} bytes, its `max_bytes`", code=4005, retryable=False
            )
        yield part
