"""The doors of page Compare: what is compared, its charts, and the same as files."""

import base64
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from app.api_figures import whole_number
from app.compare_align import moments
from app.compare_export import table
from app.compare_figures import figures
from app.compare_read import KINDS, Comparison, heads, read, read_ids
from app.compare_run_figures import measure_figures, train_figures
from app.comparing import compared, labels, named
from app.measurements import Measurements
from app.status import lab_version
from core.errors import LabError, NotFound, StorageError

if TYPE_CHECKING:
    from app.services import Lab

PREFIX = "/compare"
MEDIA = {".webp": "image/webp", ".png": "image/png"}
Asked = Mapping[str, str]


def compare_routes(lab: "Lab") -> APIRouter:
    """Under /lab/api/compare, each with `ids=a,b,…`."""
    routes, measurements = APIRouter(), Measurements(lab)

    @routes.get(PREFIX)
    def comparison(ids: str = "", stamp: str | None = None) -> Response:
        asked = read_ids(ids)
        if stamp is not None and Comparison(*heads(lab, asked)).stamp == stamp:
            return Response(status_code=204)
        return JSONResponse(compared(lab, asked, measurements))

    @routes.get(f"{PREFIX}/heads")
    def tray(ids: str = "") -> dict[str, Any]:
        told = named(Comparison(*heads(lab, read_ids(ids))))
        return {"records": [{name: one[name] for name in ("id", "kind", "title", "apart", "picture")} for one in told]}

    @routes.get(f"{PREFIX}/figures")
    def drawn(request: Request, ids: str = "") -> dict[str, Any]:
        return charts(lab, read_ids(ids), dict(request.query_params), measurements)

    @routes.get(f"{PREFIX}/data.json")
    def data(ids: str = "") -> Response:
        return JSONResponse(compared(lab, read_ids(ids), measurements), headers=_named("json"))

    @routes.get(f"{PREFIX}/table.csv")
    def numbers(ids: str = "") -> Response:
        lines = table(_there(compared(lab, read_ids(ids), measurements)))
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=_named("csv"))

    @routes.get(f"{PREFIX}/report.html")
    def whole(request: Request, ids: str = "") -> Response:
        named, asked = read_ids(ids), dict(request.query_params)
        return Response(page(lab, named, asked, measurements), media_type="text/html", headers=_named("html"))

    return routes


def charts(lab: "Lab", ids: list[str], asked: Asked, measurements: Measurements) -> dict[str, Any]:
    """The charts of one kind: `kind`, `x`, `dark`, and what the kind's charts obey (`at`, `reward`, `measure`,
    `estimate`). Raises LabError.
    """
    kind = asked.get("kind", "session")
    if kind not in KINDS:
        raise LabError(f"kind: expected one of {', '.join(KINDS)}, got {kind[:40]!r}")
    found = read(lab, ids, measurements, kinds=(kind,))
    names = labels(found)
    dark = asked.get("dark") == "1"
    if kind == "train":
        return train_figures(
            found.trains, names, x=asked.get("x", "epoch"), measure=asked.get("measure", ""), dark=dark
        )
    if kind == "reliability":
        return measure_figures(found.measures, names, estimate=asked.get("estimate", "sde"), dark=dark)
    return _session_charts(lab, found, names, asked, dark=dark)


def _session_charts(lab: "Lab", found: Comparison, names: Asked, asked: Asked, *, dark: bool) -> dict[str, Any]:
    views = found.sessions
    initial = [letter for letter, view in views.items() if any(row["step"] < 0 for row in view["iterations"])]
    places = moments({letter: view["sigmas"] for letter, view in views.items()}, initial)
    at = whole_number(asked["at"]) if "at" in asked else _middle(places, views)
    at = min(max(at, 0), max(len(places) - 1, 0))
    details = {}
    for letter, step in places[at]["steps"].items() if places else ():
        try:
            details[letter] = lab.step_detail(views[letter]["id"], step)["iterations"]
        except NotFound:
            continue  # that step was not searched
    more = {"x": asked.get("x", "nfe"), "reward": asked.get("reward", "")}
    return figures(views, names, places, details, at=at, dark=dark, **more)


def _middle(places: Sequence[Mapping[str, Any]], views: Mapping[str, Any]) -> int:
    """A moment from the middle of those at which something was searched."""
    searched = {letter: {row["step"] for row in view["iterations"]} for letter, view in views.items()}
    found = [
        at for at, one in enumerate(places) if any(step in searched[letter] for letter, step in one["steps"].items())
    ]
    return found[len(found) // 2] if found else 0


def page(lab: "Lab", ids: list[str], asked: Asked, measurements: Measurements) -> str:
    """The comparison as one HTML file, with the charts as the page's address asks for them."""
    from app.compare_report import report  # plotly: tens of megabytes

    found = _there(compared(lab, ids, measurements))
    drawn = {}
    for kind in found["sections"]:
        own = {name: value for name, value in asked.items() if name not in ("kind", "dark", "x")}
        drawn[kind] = charts(lab, ids, own | {"kind": kind}, measurements)
    made = f"Made {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())} by lab {lab_version()}."
    return report(found, drawn, lambda name: _inline(lab, name), made)


def _there(found: dict[str, Any]) -> dict[str, Any]:
    """What was compared. Raises NotFound where nothing of it can be: a file without a number would pass for one."""
    if not found["sections"]:
        why = "; ".join(f"{one['id']}: {one['problem']}" for one in found["records"])
        raise NotFound(f"there is nothing to compare: {why or 'expected ids=A,B, the records to be compared'}")
    return found


def _inline(lab: "Lab", name: str) -> str | None:
    """A stored picture as an address that holds it."""
    try:
        path = lab.artifact_path(name)
        return f"data:{MEDIA[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
    except (StorageError, OSError, KeyError):
        return None


def _named(suffix: str) -> dict[str, str]:
    return {"Cache-Control": "private, no-cache", "Content-Disposition": f'attachment; filename="compared.{suffix}"'}
