"""The library over HTTP: what there is, what a person may change of it, the trash, and a copy of the database."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from app import backup, record_changes
from app import records as library
from app.bodies import Body

if TYPE_CHECKING:
    from app.services import Lab


def record_routes(lab: "Lab") -> APIRouter:
    """Lists, changes of one record and of several, the trash."""
    routes = APIRouter()

    @routes.get("/records")
    def records(request: Request) -> dict[str, Any]:
        return library.listed(lab.database, request.query_params)

    @routes.post("/records")
    def change_several(body: Body) -> dict[str, Any]:
        told = record_changes.change_several(lab.database, body)
        if body["do"] == "erase":
            lab.sweeper.request()
        return told

    @routes.post("/records/{record_id}")
    def change(record_id: str, body: Body) -> dict[str, Any]:
        return lab.change_record(record_id, body)

    @routes.post("/records/{record_id}/trash")
    def trash(record_id: str) -> dict[str, Any]:
        return lab.trash_record(record_id)

    @routes.post("/records/{record_id}/restore")
    def restore(record_id: str) -> dict[str, Any]:
        return lab.restore_record(record_id)

    @routes.delete("/records/{record_id}")
    def delete(record_id: str) -> dict[str, Any]:
        lab.delete_record(record_id)
        return {"deleted": record_id}

    @routes.get("/trash")
    def trash_size() -> dict[str, Any]:
        return record_changes.trash_size(lab.database, lab.artifacts)

    @routes.post("/trash/purge")
    def purge(body: Body) -> dict[str, Any]:
        told = record_changes.purge(lab.database, body)
        lab.sweeper.request()
        return told

    @routes.get("/backup")
    def download() -> FileResponse:
        made = backup.temporary(lab.settings)
        gone = BackgroundTask(made.unlink, missing_ok=True)
        name = backup.name_now()
        return FileResponse(made, media_type="application/vnd.sqlite3", filename=name, background=gone)

    return routes
