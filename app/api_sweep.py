"""The doors to sweeps: asking for them, everything that is shown of one, and records side by side on many axes."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from app.bodies import Body
from app.coordinates import coordinates
from app.sweeps import Sweeps
from core.errors import LabError

if TYPE_CHECKING:
    from app.services import Lab

PREFIX = "/sweep"
PRIVATE = {"Cache-Control": "private, no-cache"}


def sweep_routes(lab: "Lab") -> APIRouter:
    """Under /lab/api: /sweep and what hangs from it, and /coordinates."""
    routes, found = APIRouter(), Sweeps(lab)

    @routes.post(PREFIX)
    def start(body: Body) -> dict[str, Any]:
        return {"id": found.start(body)}

    @routes.post(f"{PREFIX}/estimate")
    def estimate(body: Body) -> dict[str, Any]:
        return found.estimate(body)

    @routes.post(PREFIX + "/{record_id}/command")
    def command(record_id: str, body: Body) -> dict[str, Any]:
        return found.command(record_id, body.get("kind"))

    @routes.get(PREFIX + "/{record_id}")
    def view(record_id: str, after: str | None = None) -> Response:
        if after is not None and not (after.isascii() and after.isdecimal() and len(after) < 12):
            raise LabError(f"after: expected a number, got {after[:40]!r}")
        told = found.view(record_id, None if after is None else int(after))
        return Response(status_code=204) if told is None else JSONResponse(told)

    @routes.get(PREFIX + "/{record_id}/table.csv")
    def table(record_id: str) -> StreamingResponse:
        lines = found.table(record_id)
        named = {"Content-Disposition": f'attachment; filename="sweep-{record_id}.csv"'}
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=PRIVATE | named)

    @routes.get(PREFIX + "/{record_id}/alike")
    def alike(record_id: str) -> list[dict[str, Any]]:
        return found.alike(record_id)

    @routes.get(PREFIX + "/{record_id}/less/{other_id}")
    def less(record_id: str, other_id: str) -> dict[str, Any]:
        return found.less(record_id, other_id)

    @routes.get("/coordinates")
    def parallel(request: Request) -> dict[str, Any]:
        return coordinates(lab.database, dict(request.query_params))

    return routes
