"""What pages ask for and change beside the session they show: plain JSON under /lab/api.

The lab's own errors become sentences: 404 for what is not there, 422 for what cannot be done, each `{"detail": text}`.
Handlers are ordinary functions, so that the server runs them in its threads: they wait for the database.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from app.api_compare import compare_routes
from app.api_downloads import download_routes
from app.api_figures import figure_routes
from app.api_handing import handing_routes
from app.api_prompts import prompt_routes
from app.api_records import record_routes
from app.api_reliability import reliability_routes
from app.api_reuse import reuse_routes
from app.api_status import status_routes
from app.api_sweep import sweep_routes
from app.api_train import train_routes
from app.bodies import Body, TooLarge
from app.demo import only_looks
from core.errors import ConfigError, LabError, NotFound, ReadOnly

if TYPE_CHECKING:
    from app.services import Lab

PREFIX = "/lab/api"


def mount(app: FastAPI, lab: "Lab") -> None:
    """Put every route under /lab/api, and the answers to what goes wrong there."""
    for kind, status in ((LabError, 422), (NotFound, 404), (TooLarge, 413), (ReadOnly, 403)):
        app.add_exception_handler(kind, _answer(status))
    guards = [Depends(only_looks)] if lab.database.sealed is not None else []
    lists = (record_routes, queue_routes, status_routes, download_routes)
    shown = (session_routes, figure_routes, reuse_routes, reliability_routes, train_routes, prompt_routes)
    for routes in (*lists, *shown, sweep_routes, compare_routes, handing_routes):
        app.include_router(routes(lab), prefix=PREFIX, dependencies=guards)


def _answer(status: int) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    async def answer(_request: Request, error: Exception) -> JSONResponse:
        told: dict[str, Any] = {"detail": _readable(str(error))}
        if isinstance(error, ConfigError):
            told["problems"] = {_readable(field): _readable(text) for field, text in error.problems.items()}
        return JSONResponse(told, status)

    return answer


def _readable(text: str) -> str:
    """A message may quote what was sent, and that may be half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def queue_routes(lab: "Lab") -> APIRouter:
    """What runs, what waits, and what a person may do about it."""
    routes = APIRouter()

    @routes.get("/queue")
    def queue() -> dict[str, Any]:
        return lab.queue()

    @routes.post("/queue/{job_id}/cancel")
    def cancel(job_id: str) -> dict[str, Any]:
        return lab.cancel_job(job_id)

    @routes.post("/queue/{job_id}/retry")
    def retry(job_id: str) -> dict[str, Any]:
        return lab.retry_job(job_id)

    @routes.post("/queue/{job_id}/move")
    def move(job_id: str, body: Body) -> dict[str, Any]:
        return lab.move_job(job_id, body.get("to"))

    return routes


def session_routes(lab: "Lab") -> APIRouter:
    """Parts of a session that its view leaves out."""
    routes = APIRouter()

    @routes.get("/sessions/{record_id}/steps/{step}")
    def step_detail(record_id: str, step: str) -> dict[str, Any]:
        return lab.step_detail(record_id, step)

    @routes.post("/sessions/{record_id}/finish")
    def finish(record_id: str, body: Body) -> dict[str, Any]:
        return {"queued": lab.finish(record_id, body.get("step"), body.get("iteration"), body.get("candidates"))}

    return routes
