"""Who is answered, and what a browser may do with the answer.

The lab has no accounts: it trusts whoever reaches it, so it must not be reached through a stranger's page. A page on
another site can aim requests at this machine (and, by making its own name point here, even read the answers); both show
in the Host and Origin headers.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
WILDCARDS = ("0.0.0.0", "::", "")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
POLICY = "; ".join(
    (
        "default-src 'self'",
        # gradio compiles templates and starts its page with inline scripts
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def host_allowed(header: str, bound: str) -> bool:
    """Whether a Host header names this server: a loopback name, the bound host, or any address if that is "all".

    A name that someone else's DNS points here is never an IP address, so addresses are safe where all are meant.
    """
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return False
    if name in LOOPBACK or (name and name == bound.strip("[]").lower()):
        return True
    if bound.strip("[]") not in WILDCARDS:
        return False
    return _is_address(name) or name == socket.gethostname().lower()


def same_origin(headers: Headers) -> bool:
    """Whether a request that changes something comes from this site's own page, or from no page at all."""
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Refuses foreign Host and Origin headers and adds HEADERS to every answer. Pure ASGI: it holds up no stream."""

    def __init__(self, app: ASGIApp, host: str):
        """`host` is what the server is bound to."""
        self.app = app
        self.host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = None
        if not host_allowed(headers.get("host", ""), self.host):
            refusal = PlainTextResponse("This name is not one the lab answers to.", 421)
        elif scope.get("method") not in SAFE_METHODS and not same_origin(headers):
            refusal = PlainTextResponse("This request came from another site.", 403)
        if scope["type"] == "websocket" and refusal:
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer[name] = value
                if scope["path"].startswith("/lab/"):
                    answer["Cache-Control"] = (
                        "no-cache"  # asked again each time, answered 304: no stale mix of versions
                    )
            await send(message)

        await (refusal or self.app)(scope, receive, send_guarded)
