"""The charts' door: figures of one timestep of a session, as JSON that Plotly draws."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from app.figures import figures
from core.errors import LabError
from core.rewards import registry

if TYPE_CHECKING:
    from app.services import Lab


def figure_routes(lab: "Lab") -> APIRouter:
    """`/sessions/{id}/figures?step=S`, with `dark=1` for a dark page and `reward=NAME` for one reward alone."""
    routes = APIRouter()

    @routes.get("/sessions/{record_id}/figures")
    def session_figures(record_id: str, step: str = "0", dark: str = "", reward: str | None = None) -> dict[str, Any]:
        at = whole_number(step)
        view = lab.charted(record_id, at)
        rows = [row for row in view["iterations"] if row["step"] == at]
        titles = {name: spec.title for name, spec in registry.REWARDS.items()}
        return figures(view, rows, at, titles=titles, reward=reward or None, dark=dark == "1")

    return routes


def whole_number(text: str) -> int:
    """A step's number from an address. Raises LabError."""
    if not (text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= 6):
        raise LabError(f"expected step to be a whole number, got {text[:40]!r}")
    return int(text)
