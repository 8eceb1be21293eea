"""The one password of a lab that others can reach: where it comes from, and who is let in.

HTTP Basic: every browser and every script can ask for it, and nothing is stored in the page. Over plain HTTP it travels
readable; beyond a trusted network it belongs behind a proxy that speaks HTTPS.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

from starlette.responses import PlainTextResponse, Response

from core.errors import ConfigError

SHORTEST = 8
FREE_TRIES = 5
LONGEST_WAIT = 60.0
MAX_CLIENTS = 10_000


def read_password(file: Path | None, environ: Mapping[str, str]) -> str | None:
    """The password from a file (named by `file`, else by LAB_PASSWORD_FILE), else LAB_PASSWORD; None without either.

    Never from the command line, which everyone on the machine can read. Raises ConfigError for one that cannot be used.
    """
    source, found = "LAB_PASSWORD", environ.get("LAB_PASSWORD")
    named = environ.get("LAB_PASSWORD_FILE")
    if file is not None or named:
        source = "password-file" if file is not None else "LAB_PASSWORD_FILE"
        file = file or Path(str(named))
        try:
            with open(file, "rb") as handle:
                found = handle.read(4096).decode("utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError({source: f"cannot read the password: {error}"}) from error
    if found is None:
        return None
    if len(found) < SHORTEST:
        raise ConfigError({source: f"expected a password of at least {SHORTEST} characters, got {len(found)}"})
    return found


class Doorkeeper:
    """Compares what a request brings with the password, and makes those who guess wait.

    After FREE_TRIES wrong passwords an address is not listened to for a second, then two, four, up to a minute; nothing
    it brings is compared in the meantime, so waiting tells it nothing. A right password wipes its slate.
    """

    def __init__(self, password: str, *, now: Callable[[], float] = time.monotonic):
        """`now` is a clock in seconds."""
        self._expected = _digest(password)
        self._now = now
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # address: tries, not before

    def refuse(self, header: str | None, client: str) -> Response | None:
        """None for a request that may come in, else the answer it gets."""
        address = _place(client)
        tries, not_before = self._wrong.get(address, (0, 0.0))
        wait = not_before - self._now()
        if header is not None and wait > 0:
            text = "Too many wrong passwords came from your address. Wait a minute, then try again."
            return PlainTextResponse(text, 429, {"Retry-After": str(int(wait) + 1)})
        given = _given(header)
        # Always compared, and as digests: neither length nor content shows in how long it takes.
        right = hmac.compare_digest(_digest(given or ""), self._expected)
        if given is not None and right:
            self._wrong.pop(address, None)
            return None
        if given is not None:
            self._remember(address, tries + 1)
        text = "This lab asks for a password. Any user name will do."
        return PlainTextResponse(text, 401, {"WWW-Authenticate": 'Basic realm="Noise Search Lab", charset="UTF-8"'})

    def _remember(self, address: str, tries: int) -> None:
        wait = 0.0 if tries < FREE_TRIES else min(LONGEST_WAIT, 2.0 ** min(tries - FREE_TRIES, 10))
        self._wrong[address] = (tries, self._now() + wait)
        self._wrong.move_to_end(address)
        while len(self._wrong) > MAX_CLIENTS:
            self._wrong.popitem(last=False)


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode("utf-8", "surrogateescape")).digest()


def _given(header: str | None) -> str | None:
    """The password in an Authorization header; None where there is none that can be read."""
    kind, _, packed = (header or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        _, colon, password = base64.b64decode(packed.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None
    return password if colon else None


def _place(client: str) -> str:
    """Whose tries are counted together: an IPv4 address, or the network of an IPv6 one, which has plenty of them."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    return str(ipaddress.ip_network((client, 64), strict=False)) if address.version == 6 else client
