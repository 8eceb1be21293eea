"""The web server: the pages, the pictures, and the doors that stay shut.

Nothing here or below imports torch: searches run in the worker.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr  # noqa: E402
from fastapi import FastAPI, HTTPException  # noqa: E402
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse  # noqa: E402
from fastapi.staticfiles import StaticFiles  # noqa: E402

from app import api, demo, plotly_js  # noqa: E402
from app.password import Doorkeeper  # noqa: E402
from app.security import Guard  # noqa: E402
from app.ui import compare, explore, library, reliability, status, sweep, train  # noqa: E402
from app.ui.closed import refuse_files  # noqa: E402
from app.ui.theme import theme  # noqa: E402
from core.errors import StorageError  # noqa: E402

if TYPE_CHECKING:
    from app.services import Lab

ASSETS = Path(__file__).resolve().parent.parent / "assets"
FOREVER = "public, max-age=31536000, immutable"
PICTURES = {".webp": "image/webp", ".png": "image/png"}
HEAD = (
    '<link rel="stylesheet" href="lab/css/lab.css"><link rel="stylesheet" href="lab/css/charts.css">'
    '<link rel="stylesheet" href="lab/css/shell.css">'
    '<link rel="stylesheet" href="lab/css/doors.css">'
    f'<meta name="lab-plotly" content="{plotly_js.address()}"><meta name="color-scheme" content="light dark">'
)


def create_app(
    lab: "Lab", *, host: str = "127.0.0.1", names: Sequence[str] = (), password: str | None = None
) -> FastAPI:
    """The whole site over `lab`. Only `host` (what it is bound to), `names` and loopback names are answered, and with a
    password only who knows it.
    """
    app = FastAPI(title="Noise Search Lab", docs_url=None, redoc_url=None, openapi_url=None)
    for folder in ("css", "js"):
        app.mount(f"/lab/{folder}", StaticFiles(directory=ASSETS / folder), name=folder)

    @app.get("/artifacts/{name}")
    def artifact(name: str) -> FileResponse:
        """A picture by its content's name. Anything else, and everything that is not a picture, is not there."""
        media = PICTURES.get(Path(name).suffix)
        try:
            path = lab.artifact_path(name) if media else None
        except StorageError:
            path = None
        if path is None or not path.is_file():
            raise HTTPException(404, "there is no such picture")
        return FileResponse(path, media_type=media, headers={"Cache-Control": FOREVER})

    @app.get("/health")
    def health() -> PlainTextResponse:
        """Answers once the site is up."""
        return PlainTextResponse("ok")

    app.add_api_route("/compare", compare.page, response_class=HTMLResponse)
    app.add_api_route("/status", status.page, response_class=HTMLResponse)

    @app.get("/library", response_class=HTMLResponse)
    def library_page() -> str:
        """Everything that was run."""
        return library.page(lab)

    @app.get("/reliability", response_class=HTMLResponse)
    def reliability_page() -> str:
        """Where guesses can be trusted."""
        return reliability.page(lab)

    @app.get("/train", response_class=HTMLResponse)
    def train_page() -> str:
        """Fine-tunes."""
        return train.page(lab)

    @app.get("/sweep", response_class=HTMLResponse)
    def sweep_page() -> str:
        """Settings varied, and records side by side."""
        return sweep.page(lab)

    api.mount(app, lab)
    refuse_files()
    plotly_js.mount(app)
    gr.mount_gradio_app(
        app,
        explore.build(lab),
        path="/",
        theme=theme(),
        head=HEAD,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        show_error=False,
        max_file_size="1mb",
    )
    doorkeeper = Doorkeeper(password) if password else None
    dressed = demo.dress if lab.database.sealed is not None else None
    app.add_middleware(Guard, host=host, names=names, doorkeeper=doorkeeper, dress=dressed)
    return app
