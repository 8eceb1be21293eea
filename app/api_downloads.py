"""What page Status asks for and does about models and rewards that are not here."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from app.bodies import Body
from app.download_jobs import Downloads
from app.downloads import find_offer, known_offers
from core.errors import LabError

if TYPE_CHECKING:
    from app.services import Lab


def download_routes(lab: "Lab") -> APIRouter:
    """Fetch a model or a reward, say how far it is, stop it. Nothing is fetched unless somebody asks."""
    routes, downloads = APIRouter(), Downloads()

    def told() -> dict[str, Any]:
        """Everything that can be fetched, by name, and the downloads since the lab began."""
        found = {name: find_offer(name) for name in known_offers()}
        offers = {name: asdict(offer) | {"megabytes": offer.megabytes} for name, offer in found.items() if offer}
        return {"offers": offers, "downloads": downloads.told()}

    routes.add_api_route("/downloads", told)

    @routes.post("/downloads")
    def start(body: Body) -> dict[str, Any]:
        downloads.start(_name(body), accepted=body.get("accept_licence") is True)
        return told()

    @routes.post("/downloads/stop")
    def stop(body: Body) -> dict[str, Any]:
        downloads.stop(_name(body))
        return told()

    return routes


def _name(body: dict[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str):
        raise LabError(f"name: expected the name of a model or a reward, got {name!r:.60}")
    return name
