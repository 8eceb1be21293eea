"""Reading two to six records to set them side by side: what each is, and its views. No torch.

A record goes by its letter, A to F in the order in which they are named.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from app.compare_style import LETTERS, MOST
from app.measurements import Measurements
from core.config import from_dict
from core.errors import ConfigError, LabError
from storage import kin, runs, sessions
from storage.jobs import FINAL
from storage.values import iso

if TYPE_CHECKING:
    from app.services import Lab

KINDS = {"session": "search", "train": "fine-tune", "reliability": "reliability measurement"}
METRICS = ("reward_mean", "heldout", "verifier")  # of an epoch, with their kin by name: heldout_ema, heldout/NAME
_STATES = {
    "pending": "It waits in the queue: what there is of it is shown.",
    "running": "It runs: what is shown of it grows.",
    "paused": "It is paused: what it has so far is shown.",
    "failed": "It ended with an error: what it had until then is shown.",
    "cancelled": "It was stopped: what it had until then is shown.",
}


@dataclass(frozen=True)
class Comparison:
    """What was read: `heads` in order, and by letter the views of each kind. `seqs` say how new it is."""

    heads: list[dict[str, Any]]
    rows: dict[str, sa.Row] = field(default_factory=dict)
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    trains: dict[str, dict[str, Any]] = field(default_factory=dict)
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def stamp(self) -> str:
        """Changes with everything that would be shown anew."""
        return ".".join(f"{self.rows[one['letter']].seq if one['letter'] in self.rows else ''}" for one in self.heads)

    def of_kind(self, kind: str) -> dict[str, sa.Row]:
        """The rows of one kind that can be read."""
        fine = {one["letter"] for one in self.heads if one["kind"] == kind and not one["problem"]}
        return {letter: row for letter, row in self.rows.items() if letter in fine}


def read_ids(text: str) -> list[str]:
    """The records that an address names, each once, in order. Raises LabError for more than six."""
    named = list(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    if len(named) > MOST:
        raise LabError(f"expected at most {MOST} records to compare, got {len(named)}")
    return named


def heads(lab: "Lab", ids: Sequence[str]) -> tuple[list[dict[str, Any]], dict[str, sa.Row]]:
    """What each record is, in order, and the rows of those that there are, by letter.

    `problem` says why a record cannot be compared, else it is empty; `notice` what a reader should know of it.
    """
    with lab.database.read() as tx:
        found = kin.rows_by_id(tx, [record_id for record_id in ids if record_id.isascii() and record_id.isalnum()])
    told = [_head(LETTERS[index], record_id, found.get(record_id)) for index, record_id in enumerate(ids)]
    return told, {one["letter"]: found[one["id"]] for one in told if one["id"] in found}


def _head(letter: str, record_id: str, row: sa.Row | None) -> dict[str, Any]:
    head: dict[str, Any] = {"letter": letter, "id": record_id[:60], "kind": None, "title": record_id[:60]}
    head |= {"picture": None, "state": None, "problem": "", "notice": ""}
    if row is None:
        return head | {"problem": "There is no such record here: it was deleted for good, or is another lab's."}
    kept = {
        name: getattr(row, name) for name in ("kind", "name", "prompt", "preset", "model", "state", "error", "picture")
    }
    trash = "It lies in the trash. " if row.deleted_at is not None else ""
    head |= kept | {"title": _title(row), "created": iso(row.created_at), "deleted": row.deleted_at is not None}
    head |= {
        "seed": row.config.get("seed"),
        "notice": trash + _STATES.get(row.state, ""),
        "live": row.state not in FINAL,
    }
    if row.kind not in KINDS:
        head["problem"] = (
            f"A record of the kind {row.kind} cannot be compared here: open it, take another over the same cells from "
            "it there, or compare what it led to."
        )
    elif row.kind == "session":
        head["problem"] = _unreadable(row.config)
    return head


def _title(row: sa.Row) -> str:
    return ": ".join(title_parts(row))


def title_parts(row: sa.Row) -> list[str]:
    """What a record's title is made of: its name, else its prompt, after the preset of a fine-tune."""
    if row.name:
        return [row.name]
    return [row.preset, row.prompt] if row.kind == "train" else [row.prompt]


def _unreadable(config: Any) -> str:
    try:
        from_dict(config)
    except ConfigError as error:
        return f"Its settings cannot be read by this version: {error}"[:300]
    return ""


def read(
    lab: "Lab", ids: Sequence[str], measurements: Measurements | None = None, *, kinds: Sequence[str] = tuple(KINDS)
) -> Comparison:
    """Read what is compared; of the kinds that are not named, only heads. `measurements` keeps what was worked out."""
    told, there = heads(lab, ids)
    found = Comparison(told, there)
    with lab.database.read() as tx:
        for letter, row in found.of_kind("session").items() if "session" in kinds else ():
            found.sessions[letter] = sessions.view(tx, row.id, only=())
        for letter, row in found.of_kind("train").items() if "train" in kinds else ():
            found.trains[letter] = _run(tx, row)
    if "reliability" in kinds:
        known = measurements or Measurements(lab)
        found.measures.update({letter: _measure(known, row.id) for letter, row in found.of_kind("reliability").items()})
    return found


def _run(tx: Any, row: sa.Row) -> dict[str, Any]:
    """A fine-tune as it is compared: settings, the metrics that curves show, and its sample sheets."""
    told = runs.told(tx, row.id)
    epochs = [
        {"epoch": one.epoch, "nfe": one.nfe, "seconds": one.seconds}
        | {"metrics": {name: value for name, value in one.metrics.items() if name.startswith(METRICS)}}
        for one in runs.epochs_of(tx, row.id)
    ]
    names = ("epoch", "ema", "sheet", "columns", "cell", "rewards")
    sheets = [{name: getattr(one, name) for name in names} for one in runs.samples_of(tx, row.id)]
    about = {"config": row.config, "num_epochs": told.num_epochs, "diagnosis": told.diagnosis, "samples": sheets}
    environment = {name: value for name, value in told.environment.items() if name != "usage"}
    return about | {"epochs": epochs, "prompts": told.started.get("sample_prompts", []), "environment": environment}


def _measure(measurements: Measurements, record_id: str) -> dict[str, Any]:
    """A measurement as it is compared."""
    view = measurements.view(record_id) or {}
    names = ("id", "config", "sigmas", "steps", "rows_done", "cost", "estimates", "rewards", "optimised", "held_out")
    kept = (*names, "primary", "curves", "realised", "window", "few_prompts", "sentence")
    return {name: view[name] for name in kept}
