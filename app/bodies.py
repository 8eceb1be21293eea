"""What is sent to the lab's JSON interface: read no further than is meant to be sent, and only as plain JSON."""

import json
from typing import Annotated, Any

from fastapi import Depends, Request

from core.errors import LabError

BODY_BYTES = 64 * 1024


class TooLarge(LabError):
    """A request's body is larger than anything that is meant to be sent."""


async def limited_body(request: Request, limit: int) -> bytes:
    """A request's body, read no further than `limit` bytes. Raises TooLarge, also where no length was told."""
    said = request.headers.get("content-length", "0")
    body = b""
    if not said.isdecimal() or int(said) <= limit:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                break
        else:
            return body
    raise TooLarge(f"expected at most {limit:,} bytes, got more")


async def json_object(request: Request) -> dict[str, Any]:
    """A request's body as a JSON object; no body is an empty one. Raises LabError for anything else."""
    body = await limited_body(request, BODY_BYTES)
    try:
        found = json.loads(body, parse_constant=_no_constant) if body else {}
    except (ValueError, RecursionError) as error:
        raise LabError(f"expected a JSON object, got something that cannot be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise LabError(f"expected a JSON object, got {type(found).__name__}")
    return found


Body = Annotated[dict[str, Any], Depends(json_object)]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
