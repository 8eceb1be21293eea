"""Who is answered, and what a browser may do with the answer.

On this machine alone the lab trusts whoever reaches it, so it must not be reached through a stranger's page. A page on
another site can aim requests at this machine (and, by making its own name point here, even read the answers); both show
in the Host, Origin and Sec-Fetch headers. Beyond this machine a password is asked for as well: see app/password.py.
"""

import ipaddress
import secrets
import socket
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.password import Doorkeeper

LOOPBACK = ("localhost", "127.0.0.1", "::1")
WILDCARDS = ("0.0.0.0", "::", "")
# gradio's own tools that the lab has no use for: files up and down, requests passed on to other machines, its editors.
API = "/gradio_api/"
OPEN = ("info", "startup-events", "heartbeat/", "queue/join", "queue/data", "run/", "api/", "call/", "theme.css")
CLOSED = ("monitoring", "dev", "login", "logout", "pwa_icon", "runs", "file", "docs", "redoc", "openapi.json")
MAX_CALL = 2_000_000  # bytes of a call to a page's event; what is sent is a filled form
_POLICY = (
    "default-src 'none'",
    # gradio compiles its templates and our components' few lines with Function, hence unsafe-eval; scripts that stand
    # in a page run only with the nonce of that one answer, so markup that slipped into a page runs nothing
    "script-src 'self' 'unsafe-eval' 'nonce-{nonce}'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "worker-src 'self' blob:",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def is_loopback(host: str) -> bool:
    """Whether what a server is bound to can be reached from this machine alone."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_allowed(header: str, bound: str, names: Sequence[str] = ()) -> bool:
    """Whether a Host header names this server: a loopback name, the bound host, one of `names`, or, where it is bound
    to all addresses, any address.

    A name that someone else's DNS points here is never an IP address, so addresses are safe where all are meant.
    """
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    if name in LOOPBACK or (name and name in (bound.strip("[]").lower(), *names)):
        return True
    if bound.strip("[]") not in WILDCARDS:
        return False
    return _is_address(name) or name == socket.gethostname().lower()


def same_origin(headers: Headers, *, reads: bool = False) -> bool:
    """Whether a request comes from this site's own page, or from no page at all.

    A request that only reads may also be a link from elsewhere that a person followed into a tab of its own.
    """
    followed = reads and headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not followed:
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def shut(path: str) -> bool:
    """Whether a path leads to a tool of gradio's that the lab does not use."""
    if path.startswith(API):
        return not path.removeprefix(API).startswith(OPEN)
    first = path.lstrip("/").partition("/")[0]
    return first in CLOSED or first.startswith(("file=", "proxy="))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Refuses what is not for us and adds HEADERS to every answer. Pure ASGI: it holds up no stream."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        names: Sequence[str] = (),
        doorkeeper: Doorkeeper | None = None,
        dress: Callable[[bytes], bytes] | None = None,
    ):
        """`host` is what the server is bound to, `names` the other names it is known by; `dress` gets every page."""
        self.app = app
        self.host = host
        self.names = tuple(name.lower() for name in names)
        self.doorkeeper = doorkeeper
        self.dress = dress

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refusal = await self._refusal(scope, Headers(scope=scope))
        if scope["type"] == "websocket":
            if refusal:
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self.app(scope, receive, send)
            return
        if not refusal:
            scope = _uncompressed_page(scope)
        await (refusal or self.app)(scope, receive, Guarded(scope, send, self.dress))

    async def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Why this request is not for us, as an answer; None where it is."""
        path, method = scope["path"], scope.get("method", "")
        if not host_allowed(headers.get("host", ""), self.host, self.names):
            return PlainTextResponse("This name is not one the lab answers to.", 421)
        if not same_origin(headers, reads=method in ("GET", "HEAD")):
            return PlainTextResponse("This request came from another site.", 403)
        if self.doorkeeper is not None and path != "/health":
            client = (scope.get("client") or ("unknown", 0))[0]
            refused = self.doorkeeper.refuse(headers.get("authorization"), client)
            if refused:
                return refused
        if shut(path):
            return PlainTextResponse("Not found", 404)
        if path.startswith(API) and method == "POST":
            length = headers.get("content-length", "")
            if not length.isdecimal() or int(length) > MAX_CALL:
                return PlainTextResponse("This is larger than anything the lab asks for.", 413)
        return None


class Guarded:
    """An answer on its way out: headers are added, and a page's own scripts get the nonce that lets them run."""

    def __init__(self, scope: Scope, send: Send, dress: Callable[[bytes], bytes] | None = None):
        """`send` is where the answer goes; `dress` may change a page, and its scripts get the nonce as well."""
        self.dress = dress or bytes
        self.path = scope["path"]
        self.send = send
        self.nonce = secrets.token_urlsafe(16)
        self.page: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        """Pass one message of the answer on; a page is held until it is whole."""
        if message["type"] == "http.response.start":
            answer = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                answer[name] = value
            answer["Content-Security-Policy"] = "; ".join(_POLICY).format(nonce=self.nonce)
            if self.path.startswith("/lab/"):
                answer["Cache-Control"] = "no-cache"  # asked again each time, answered 304: no stale mix of versions
            if answer.get("content-type", "").startswith("text/html"):
                answer["Cache-Control"] = "no-store"  # a nonce is for one answer
                self.page = message
                return
        elif self.page is not None and message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if message.get("more_body"):
                return
            body = self.dress(self.body).replace(b"<script", f'<script nonce="{self.nonce}"'.encode())
            page = MutableHeaders(scope=self.page)
            if "content-length" in page:
                page["Content-Length"] = str(len(body) if self.body else int(page["content-length"]))
            await self.send(self.page)
            message = {**message, "body": body}
        await self.send(message)


def _uncompressed_page(scope: Scope) -> Scope:
    """A request for a page without its wish for compression: the page's scripts are still to get their nonce."""
    if "text/html" not in Headers(scope=scope).get("accept", "text/html"):
        return scope
    return {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
