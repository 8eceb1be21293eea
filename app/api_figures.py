"""The charts' door: figures of one timestep of a session, as JSON that Plotly draws."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from core.errors import LabError
from core.rewards import registry

if TYPE_CHECKING:
    from app.services import Lab


def figure_routes(lab: "Lab") -> APIRouter:
    """`/sessions/{id}/figures?step=S`, with `dark=1` for a dark page and `reward=NAME` for one reward alone."""
    routes = APIRouter()

    @routes.get("/sessions/{record_id}/figures")
    def session_figures(record_id: str, step: str = "0", dark: str = "", reward: str | None = None) -> dict[str, Any]:
        from app.figures import figures  # plotly is loaded when the first chart is asked for

        view, rows = session_step(lab, record_id, whole_number(step))
        titles = {name: spec.title for name, spec in registry.REWARDS.items()}
        return figures(view, rows, whole_number(step), titles=titles, reward=reward or None, dark=dark == "1")

    return routes


def session_step(lab: "Lab", record_id: str, step: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A session's view, and the step's iterations with their candidates, which a large session's view leaves out."""
    view = lab.session_view(record_id)
    if view is None:
        raise LabError(f"there is no session {record_id!r}")
    rows = [row for row in view["iterations"] if row["step"] == step]
    if any("total" not in row for row in rows):
        rows = lab.step_detail(record_id, str(step))["iterations"]
    return view, rows


def whole_number(text: str) -> int:
    """A step's number from an address. Raises LabError."""
    if not (text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= 6):
        raise LabError(f"expected step to be a whole number, got {text[:40]!r}")
    return int(text)
