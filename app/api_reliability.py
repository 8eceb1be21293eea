"""The reliability page's doors: asking for measurements, and everything that is shown of one."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from app.bodies import Body
from app.measurements import Measurements
from core.errors import LabError

if TYPE_CHECKING:
    from app.services import Lab

PREFIX = "/reliability"
PRIVATE = {"Cache-Control": "private, no-cache"}


def reliability_routes(lab: "Lab") -> APIRouter:
    """Under /lab/api: /reliability and what hangs from it, and /signal."""
    routes, measurements = APIRouter(), Measurements(lab)
    _asking(routes, measurements)
    _looking(routes, measurements)
    _files(routes, measurements)
    return routes


def _asking(routes: APIRouter, measurements: Measurements) -> None:
    @routes.post(PREFIX)
    def start(body: Body) -> dict[str, Any]:
        return {"id": measurements.start(body)}

    @routes.post(f"{PREFIX}/estimate")
    def estimate(body: Body) -> dict[str, Any]:
        return measurements.estimate(body)

    @routes.post(PREFIX + "/{record_id}/command")
    def command(record_id: str, body: Body) -> dict[str, Any]:
        return measurements.command(record_id, body.get("kind"))


def _looking(routes: APIRouter, measurements: Measurements) -> None:
    @routes.get(PREFIX + "/{record_id}")
    def view(record_id: str, after: str | None = None) -> Response:
        if after is not None and not (after.isascii() and after.isdecimal() and len(after) < 12):
            raise LabError(f"after: expected a number, got {after[:40]!r}")
        found = measurements.view(record_id, None if after is None else int(after))
        return Response(status_code=204) if found is None else JSONResponse(found)

    @routes.get(PREFIX + "/{record_id}/rows/{row}")
    def row(record_id: str, row: str) -> dict[str, Any]:
        return measurements.row(record_id, row)

    @routes.get(PREFIX + "/{record_id}/points")
    def points(record_id: str, request: Request) -> dict[str, Any]:
        return measurements.points(record_id, dict(request.query_params))

    @routes.get(PREFIX + "/{record_id}/figures")
    def figures(record_id: str, request: Request) -> dict[str, Any]:
        return measurements.figures(record_id, dict(request.query_params))

    @routes.post(PREFIX + "/{record_id}/simulate")
    def simulate(record_id: str, body: Body) -> dict[str, Any]:
        return measurements.simulate(record_id, body)

    @routes.get("/signal")
    def signal(request: Request) -> dict[str, Any]:
        return measurements.signal(dict(request.query_params))


def _files(routes: APIRouter, measurements: Measurements) -> None:
    @routes.get(PREFIX + "/{record_id}/arrays.npz")
    def arrays(record_id: str) -> Response:
        content = measurements.npz(record_id)
        return Response(content, media_type="application/octet-stream", headers=_named(record_id, "npz"))

    @routes.get(PREFIX + "/{record_id}/table.csv")
    def table(record_id: str) -> StreamingResponse:
        lines = measurements.table(record_id)
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=_named(record_id, "csv"))


def _named(record_id: str, suffix: str) -> dict[str, str]:
    """Only called for a record that is there, so its id is plain letters."""
    return PRIVATE | {"Content-Disposition": f'attachment; filename="reliability-{record_id}.{suffix}"'}
