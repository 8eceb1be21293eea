"""The library's use cases: finding records, with how far each is and what else there is to find."""

from collections.abc import Mapping
from typing import Any

from app.notes import rendered
from app.progress import fraction, planned, planned_nfe
from app.record_filters import FILTERS, read_filters
from core import measure_config
from core.config import from_dict
from core.errors import ConfigError, LabError
from storage import listing, records
from storage.engine import Database
from storage.progress import Spent, epochs_done, spent_by

MAX_LISTED = 200
LISTED = 50


def listed(database: Database, asked: Mapping[str, str]) -> dict[str, Any]:
    """`records` in the order and of the kind asked for, and whether there are `more` behind them. Raises LabError.

    The first page also has `total`, how many there are in all, and `facets`, what else there is to narrow to. `asked`
    are texts as an address has them: some of `FILTERS`. A `limit` above `MAX_LISTED` is taken for that.
    """
    if unknown := sorted(asked.keys() - FILTERS):
        raise LabError(f"expected some of {', '.join(sorted(FILTERS))}, got {', '.join(unknown)[:100]}")
    asked = {name: value for name, value in asked.items() if value}
    limit = min(_whole(asked.get("limit", str(LISTED)), "limit"), MAX_LISTED)
    narrowed, before = read_filters(asked), asked.get("before")
    around: dict[str, Any] = {}
    with database.read() as tx:
        sort = asked.get("sort", "newest")
        rows = listing.list_records(tx, limit=limit + 1, before=before, sort=sort, **narrowed)
        if before is None:
            around = {"total": listing.count_records(tx, **narrowed)}
            around |= {"facets": listing.facets(tx, trash=narrowed["trash"])}
        begun = [row["id"] for row in rows if row["state"] != "succeeded"]
        spent, schedules, trained = spent_by(tx, begun), records.schedules(tx, begun), epochs_done(tx, begun)
    for row in rows:
        row |= _progress(row, spent.get(row["id"], Spent()), schedules.get(row["id"]), trained.get(row["id"], 0))
        row |= {"note_html": rendered(row["note"])}
    return {"records": rows[:limit], "more": len(rows) > limit} | around


def _progress(row: Mapping[str, Any], spent: Spent, schedule: tuple[Any, Any] | None, epochs: int) -> dict[str, Any]:
    if row["state"] == "succeeded":
        return {"progress": 1.0}
    seconds = row["seconds"] if row["seconds"] is not None else (spent.seconds if spent.nfe else None)
    config, sigmas = schedule or (None, None)
    if row["kind"] == "train":
        return {"progress": fraction(epochs, config["epochs"]) if config else None, "seconds": seconds}
    return {"progress": progress_of(spent.nfe, config, sigmas) if config else None, "seconds": seconds}


def progress_of(nfe: int, config: Any, sigmas: Any) -> float | None:
    """From what was spent and a stored config; None for one that this version cannot read any more."""
    planned = planned_of(config, sigmas)
    return None if planned is None else fraction(nfe, planned)


def planned_of(config: Any, sigmas: Any) -> int | None:
    """The evaluations planned by a stored config, a session's or a measurement's; None for one that this version cannot
    read any more."""
    try:
        if "base" in config:
            return planned(measure_config.from_dict(config)).nfe
        return planned_nfe(from_dict(config), sigmas)
    except ConfigError:
        return None


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < len(text) < 10 and int(text)):
        raise LabError(f"{name}: expected a whole number from 1, got {text!r:.60}")
    return int(text)


def find(database: Database, record_id: str) -> dict[str, Any]:
    """One record as a list shows it, wherever it lies. Raises NotFound."""
    with database.read() as tx:
        row = records.get_record(tx, record_id)
        ids = [row["id"]]
        spent, schedules, trained = spent_by(tx, ids), records.schedules(tx, ids), epochs_done(tx, ids)
    row |= _progress(row, spent.get(row["id"], Spent()), schedules.get(row["id"]), trained.get(row["id"], 0))
    return row | {"note_html": rendered(row["note"])}
