"""The doors to fine-tunes: asking for them, everything that is shown of one, and what it made."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse

from app.bodies import Body
from app.train_export import command_line, table
from app.train_figures import figures
from app.train_runs import TrainRuns
from core.errors import LabError
from core.train_config import to_dict

if TYPE_CHECKING:
    from app.services import Lab

PREFIX = "/train"
PRIVATE = {"Cache-Control": "private, no-cache"}


def train_routes(lab: "Lab") -> APIRouter:
    """Under /lab/api: /train and what hangs from it."""
    routes, trainings = APIRouter(), TrainRuns(lab)
    _asking(routes, trainings)
    _looking(routes, trainings)
    _files(routes, trainings)
    return routes


def _asking(routes: APIRouter, trainings: TrainRuns) -> None:
    @routes.post(PREFIX)
    def start(body: Body) -> dict[str, Any]:
        return {"id": trainings.start(body)}

    @routes.post(f"{PREFIX}/estimate")
    def estimate(body: Body) -> dict[str, Any]:
        return trainings.estimate(body)

    @routes.post(PREFIX + "/{record_id}/command")
    def command(record_id: str, body: Body) -> dict[str, Any]:
        return trainings.command(record_id, body.get("kind"))

    @routes.post(PREFIX + "/{record_id}/evaluate")
    def evaluate(record_id: str, body: Body) -> dict[str, Any]:
        return trainings.evaluate(record_id, body)


def _looking(routes: APIRouter, trainings: TrainRuns) -> None:
    @routes.get(PREFIX + "/{record_id}")
    def view(record_id: str, after: str | None = None) -> Response:
        if after is not None and not (after.isascii() and after.isdecimal() and len(after) < 12):
            raise LabError(f"after: expected a number, got {after[:40]!r}")
        found = trainings.view(record_id, None if after is None else int(after))
        return Response(status_code=204) if found is None else JSONResponse(found)

    @routes.get(PREFIX + "/{record_id}/form")
    def form(record_id: str, epoch: str | None = None) -> dict[str, Any]:
        return {"config": trainings.lab.trained_form(record_id, epoch)}

    @routes.get(PREFIX + "/{record_id}/figures")
    def drawn(record_id: str, request: Request) -> dict[str, Any]:
        config, epochs, started = trainings.history(record_id)
        asked = request.query_params
        return figures(config, epochs, started, x=asked.get("x", "epoch"), dark=asked.get("dark") == "1")


def _files(routes: APIRouter, trainings: TrainRuns) -> None:
    @routes.get(PREFIX + "/{record_id}/lora.safetensors")
    def lora(record_id: str, epoch: str | None = None, raw: str = "") -> Response:
        path, at = trainings.lora(record_id, epoch, raw=raw == "1")
        name = f"lora-{record_id}-epoch-{at}{'-raw' if raw == '1' else ''}.safetensors"
        return FileResponse(path, media_type="application/octet-stream", filename=name, headers=PRIVATE)

    @routes.get(PREFIX + "/{record_id}/metrics.csv")
    def metrics(record_id: str) -> Response:
        _, epochs, _ = trainings.history(record_id)
        return StreamingResponse(table(epochs), media_type="text/csv; charset=utf-8", headers=_named(record_id, "csv"))

    @routes.get(PREFIX + "/{record_id}/config.json")
    def config(record_id: str) -> Response:
        return JSONResponse(to_dict(trainings.config_of(record_id)), headers=_named(record_id, "json"))

    @routes.get(PREFIX + "/{record_id}/command")
    def line(record_id: str) -> Response:
        return PlainTextResponse(command_line(*trainings.named_config(record_id)), headers=PRIVATE)


def _named(record_id: str, suffix: str) -> dict[str, str]:
    """Only called for a record that is there, so its id is plain letters."""
    return PRIVATE | {"Content-Disposition": f'attachment; filename="train-{record_id}.{suffix}"'}
