"""Plotly's script for the page, as the python package brings it: figures and script are made for each other."""

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse

from core.errors import LabError

FOREVER = "public, max-age=31536000, immutable"


@cache
def script() -> Path:
    """Where the script lies. Raises LabError where plotly is not installed."""
    found = importlib.util.find_spec("plotly")
    path = Path(found.origin).parent / "package_data" / "plotly.min.js" if found and found.origin else None
    if path is None or not path.is_file():
        raise LabError("plotly is not installed: expected its package_data/plotly.min.js")
    return path


@cache
def address() -> str:
    """Its address on this server, below the page's own. It names the content, so it may be kept for ever."""
    digest = hashlib.sha256(script().read_bytes()).hexdigest()[:16]
    return f"plotly/{digest}/plotly.min.js"


def mount(app: FastAPI) -> None:
    """Serve the script at its address, and nothing beside it."""

    @app.get(f"/{address()}")
    def plotly_script() -> FileResponse:
        return FileResponse(script(), media_type="text/javascript", headers={"Cache-Control": FOREVER})
