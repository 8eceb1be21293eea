"""A door for files of prompts: a page sends a file's text and gets its prompts, or what is wrong with it."""

import json
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request

from app.bodies import limited_body
from app.prompt_sets import read_prompts
from core.errors import ConfigError

if TYPE_CHECKING:
    from app.services import Lab

FILE_BYTES = 2 * 1024 * 1024


def prompt_routes(lab: "Lab") -> APIRouter:
    """Under /lab/api: /prompts, which takes a text as JSON."""
    routes = APIRouter()

    @routes.post("/prompts")
    async def prompts(request: Request) -> dict[str, Any]:
        try:
            text = json.loads(await limited_body(request, FILE_BYTES))
        except (ValueError, RecursionError):
            text = None
        if not isinstance(text, str):
            raise ConfigError({"prompts": "expected the text of a file, as a string in JSON"})
        return {"prompts": read_prompts(text.removeprefix("\ufeff"))}

    return routes
