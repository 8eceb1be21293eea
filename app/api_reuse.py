"""Settings into a form and out of the lab: estimates, fillings, command lines, pictures that carry them."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from app import reuse
from app.bodies import Body, limited_body
from app.pictures import encode_final, pixels_of
from app.ui import form
from core.config import ExploreConfig, to_dict
from core.errors import ConfigError, LabError, NotFound

if TYPE_CHECKING:
    from app.services import Lab

_WHOLE = ("step", "iteration", "candidate")
PRIVATE = {"Cache-Control": "private, no-cache"}


def reuse_routes(lab: "Lab") -> APIRouter:
    """What the form and the buttons around a session ask for."""
    routes = APIRouter()

    @routes.post("/estimate")
    def estimate(body: Body) -> dict[str, Any]:
        return estimated(lab, body)

    @routes.post("/form/estimate")
    def form_estimate(body: Body) -> dict[str, Any]:
        unknown = body.keys() ^ set(form.NAMES)
        if unknown:
            raise LabError(f"expected a value for each field of the form: {', '.join(sorted(unknown))[:200]}")
        try:
            config = form.to_config(body)
            return estimated(lab, config) | {"problems": _unusable(lab, config)}
        except ConfigError as error:  # half-written is how a form usually is: no fault that a browser should log
            return {"problem": str(error), "problems": form.explain(error.problems)}

    @routes.post("/form")
    def filling(body: Body) -> dict[str, Any]:
        values = form.from_config(body.get("config") or {})
        return form.filling(values, lab.options(values["model"]))

    @routes.post("/settings-of-picture")
    async def settings_of_picture(request: Request) -> dict[str, Any]:
        content = await limited_body(request, reuse.MAX_PICTURE)
        return await run_in_threadpool(_read, content)

    @routes.get("/sessions/{record_id}/config")
    def config(record_id: str) -> dict[str, Any]:
        return {"config": to_dict(lab.config_of(record_id))}

    @routes.get("/sessions/{record_id}/as-command")
    def as_command(record_id: str) -> dict[str, str]:
        config = lab.config_of(record_id)
        return {"command": reuse.command_line(config), "python": reuse.python_code(config)}

    @routes.get("/sessions/{record_id}/pictures/{name}.png")
    def picture(record_id: str, name: str, request: Request) -> Response:
        hint = _hint(dict(request.query_params))
        place = lab.place_of_picture(record_id, name, hint)
        if place is None:
            raise NotFound("this session has no such picture")
        content = as_png(lab.artifact_path(name).read_bytes(), lab.config_of(record_id), record_id, place)
        named = {"Content-Disposition": f'attachment; filename="{file_name(record_id, place)}"'}
        return Response(content, media_type="image/png", headers=PRIVATE | named)

    return routes


def _unusable(lab: "Lab", config: dict[str, Any]) -> list[dict[str, Any]]:
    """What a config that can be reckoned with lacks here: weights, a card."""
    try:
        lab.read_config(config)
    except ConfigError as error:
        return form.explain(error.problems)
    return []


def estimated(lab: "Lab", plain: Any) -> dict[str, Any]:
    """What a config will cost, and `seconds` as this model's newest sessions took them here; None where none ran."""
    told = lab.cost_estimate(plain)
    rate = lab.measured_rate(plain.get("model", ExploreConfig.model))
    return told | {"seconds": None if rate is None else rate * told["nfe"]}


def as_png(content: bytes, config: ExploreConfig, record_id: str, place: dict[str, Any]) -> bytes:
    """A stored picture as a PNG that carries its session's settings and its place."""
    return encode_final(pixels_of(content), {"config": to_dict(config), "session": record_id, **place})


def file_name(record_id: str, place: dict[str, Any]) -> str:
    """What a downloaded picture is called: plain letters, places as people count them."""
    words = [f"{name}-{place[name] + 1}" for name in _WHOLE if name in place]
    words += [str(place["arm"]).replace("_", "-")] if "arm" in place else []
    words += ["finished"] if place.get("finished") else []
    return f"{'-'.join([record_id, *words])}.png"


def _read(content: bytes) -> dict[str, Any]:
    return {"config": to_dict(reuse.config_of_picture(content)), "place": reuse.place_of_picture(content)}


def _hint(asked: dict[str, str]) -> dict[str, Any]:
    """Which of several equal pictures is meant. Raises LabError for anything but a place."""
    hint: dict[str, Any] = {}
    for name, text in asked.items():
        whole = name in _WHOLE and text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= 6
        if not whole and (name != "arm" or len(text) > 40 or not text.isascii() or not text.isprintable()):
            raise LabError(f"expected a place such as step=4&iteration=2&candidate=0, got {name!r:.40}={text!r:.40}")
        hint[name] = int(text) if whole else text
    return hint
