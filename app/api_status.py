"""What page Status asks for, and what deleting a record would free."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from app.status import as_text, collect, device_text, record_size

if TYPE_CHECKING:
    from app.services import Lab


def status_routes(lab: "Lab") -> APIRouter:
    """The lab's facts, with the same as `text` for a question to others; a record's size on the disk."""
    routes = APIRouter()

    @routes.get("/status")
    def status() -> dict[str, Any]:
        facts = collect(lab.settings, lab.database)
        device = device_text(facts["worker"], lab.settings.device)
        return facts | {"device": device, "text": as_text(facts, device)}

    @routes.get("/records/{record_id}/size")
    def size(record_id: str) -> dict[str, Any]:
        return {"bytes": record_size(lab.database, lab.artifacts, record_id)}

    return routes
