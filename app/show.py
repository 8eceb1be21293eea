"""`show`: a stored session as tables in the terminal."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TextIO

from app.services import Lab
from app.settings import settings_of_lab
from core.errors import LabError
from storage.values import weighted

NEWEST = "newest"


def open_lab(data_dir: str | None) -> Lab:
    """The lab in a data folder, as it is: nothing is put into an empty one. Raises LabError where there is none."""
    return Lab(replace(settings_of_lab(data_dir), recorded=None))


def find_session(lab: Lab, text: str) -> dict[str, Any]:
    """The view of a session by its id, its beginning, or the word `newest`. Raises LabError."""
    asked = text.strip().lower()
    if asked == NEWEST:
        found = [row["id"] for row in lab.records(kind="session", limit="1")["records"]]
    else:
        found = lab.ids_that_begin(asked)
    if len(found) != 1:
        told = "there is no session" if not found else f"{len(found)} sessions begin with"
        raise LabError(f"{told} {text!r:.60}; the library lists them, and `{NEWEST}` is the newest")
    view = lab.session_view(found[0])
    if view is None:
        raise LabError(f"there is no session {text!r:.60}")
    return view


def show(lab: Lab, text: str, *, as_json: bool, out: TextIO) -> int:
    """Print a session: one JSON object, or its head, steps, iterations and arms under one another. Raises LabError."""
    view = find_session(lab, text)
    print(json.dumps(view, allow_nan=False) if as_json else described(view), file=out)
    return 0


def described(view: Mapping[str, Any]) -> str:
    """The tables of a view; parts that a session does not have yet are left out."""
    rewards = list(view["config"]["rewards"])
    parts = [_head(view)]
    for title, rows in (
        ("Steps", _steps(view, rewards)),
        ("Iterations", _iterations(view)),
        ("Final pictures of candidates", _finishes(view, rewards)),
        ("Outcome", _arms(view, rewards)),
    ):
        if len(rows) > 1:
            parts.append(f"{title}\n{aligned(rows)}")
    return "\n\n".join(parts)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows under one another, the first column to the left and the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def plain(text: str) -> str:
    """Text as one line that no terminal takes for a command: what cannot be printed is shown by its number."""
    shown = (one if one.isprintable() else f"\\u{ord(one):04x}" for one in " ".join(text.split()))
    return "".join(shown)


def number(value: float | None, places: int = 3) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:.{places}f}"


def place(step: int) -> str:
    """A step as people count."""
    return "x_1" if step < 0 else str(step + 1)


def _head(view: Mapping[str, Any]) -> str:
    config, cost = view["config"], view["cost"]
    search = config["search"]
    marks = [word for word in ("star", "locked", "deleted") if view[word]]
    kept = f"{search['num_iterations']} x {search['num_candidates']}, of which {search['elite_fraction']:g} are kept"
    lines = [
        ("session", view["id"] + (f" ({', '.join(marks)})" if marks else "")),
        ("name", plain(view["name"] or "")),
        ("prompt", plain(view["prompt"])),
        ("state", view["state"] + (f": {plain(view['error'])}" if view["error"] else "")),
        ("created", view["created"]),
        ("model", f"{view['model']}, {config['num_steps']} steps, guidance {config['guidance_scale']:g}"),
        ("search", f"{view['preset']}, {kept}, seed {config['seed']}"),
        ("rewards", ", ".join(f"{plain(name)} x {weight:g}" for name, weight in config["rewards"].items())),
        (
            "spent",
            f"{cost['nfe']} NFE, {cost['decodes']} decodes, {cost['reward_calls']} rewards, {cost['seconds']:.1f} s",
        ),
        ("note", plain(view["note"])),
    ]
    return "\n".join(f"{name:<8} {text}" for name, text in lines if text)


def _steps(view: Mapping[str, Any], rewards: Sequence[str]) -> list[list[str]]:
    rows = [["step", "sigma", "next", "searched", "total", *map(plain, rewards), "noise", "NFE", "seconds"]]
    for row in view["steps"]:
        step = row["step"]
        at = max(0, step)
        searched = step < 0 or view["searched"][step]
        cells = [place(step), number(view["sigmas"][at]), number(view["sigmas"][step + 1]), "yes" if searched else "no"]
        cells += _scores(view, row["rewards"], rewards)
        rows.append([*cells, number(row["noise_norm"], 2), str(row["nfe"]), number(row["seconds"], 1)])
    return rows


def _iterations(view: Mapping[str, Any]) -> list[list[str]]:
    head = ["step", "iteration", "scored", "best", "mean", "kept from", "centre", "spread", "likeness", "NFE"]
    return [head] + [
        [place(row["step"]), str(row["iteration"] + 1), f"{row['finite']}/{row['num_candidates']}"]
        + [number(row[name]) for name in ("best", "mean", "threshold")]
        + [number(value, 2) for value in (row["mean_norm"], row["std_quantiles"][2], row["cosine"])]
        + [str(row["nfe"])]
        for row in view["iterations"]
    ]


def _finishes(view: Mapping[str, Any], rewards: Sequence[str]) -> list[list[str]]:
    return [["step", "iteration", "candidate", "total", *map(plain, rewards), "NFE", "seconds"]] + [
        [place(row["step"]), str(row["iteration"] + 1), str(row["candidate"] + 1)]
        + _scores(view, row["rewards"], rewards)
        + [str(row["nfe"]), number(row["seconds"], 1)]
        for row in view["finishes"]
    ]


def _arms(view: Mapping[str, Any], rewards: Sequence[str]) -> list[list[str]]:
    return [["arm", "total", *map(plain, rewards), "runs", "NFE", "decodes", "seconds"]] + [
        [row["arm"], *_scores(view, row["rewards"], rewards), str(row["trajectories"])]
        + [str(row["nfe"]), str(row["decodes"]), number(row["seconds"], 1)]
        for row in view["arms"]
    ]


def _scores(view: Mapping[str, Any], found: Mapping[str, float | None], rewards: Iterable[str]) -> list[str]:
    """The searched sum, then each reward."""
    return [number(weighted(view["config"]["rewards"], found)), *(number(found.get(name)) for name in rewards)]
