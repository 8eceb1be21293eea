"""The library's use cases: listing records, and what a person may change of one."""

from collections.abc import Mapping
from typing import Any

from app.progress import fraction, planned, planned_nfe
from core import measure_config
from core.config import from_dict
from core.errors import ConfigError, LabError
from storage import records
from storage.engine import Database
from storage.jobs import STATUSES
from storage.progress import Spent, epochs_done, spent_by
from storage.values import clean

SAME = ("kind", "state", "preset", "model")
FILTERS = frozenset({*SAME, "text", "star", "trash", "sort", "before", "limit"})
MAX_NAME = 200
MAX_NOTE = 10_000
MAX_LISTED = 200
LISTED = 50
MAX_WANTED = 500
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


def listed(database: Database, asked: Mapping[str, str]) -> dict[str, Any]:
    """`records` in the order and of the kind asked for, and whether there are `more` behind them. Raises LabError.

    `asked` are texts as an address has them: see `FILTERS`. A `limit` above `MAX_LISTED` is taken for that.
    """
    limit = min(_whole(asked.get("limit", str(LISTED)), "limit"), MAX_LISTED)
    state = asked.get("state")
    if state is not None and state not in STATUSES:
        raise LabError(f"state: expected one of {', '.join(STATUSES)}, got {state!r:.60}")
    wanted: dict[str, Any] = {name: clean(asked[name]) for name in SAME if name in asked}
    wanted |= {"star": _flag(asked, "star"), "trash": bool(_flag(asked, "trash"))}
    wanted |= {"text": asked.get("text", "")[:MAX_WANTED], "sort": asked.get("sort", "newest")}
    with database.read() as tx:
        rows = records.list_records(tx, limit=limit + 1, before=asked.get("before"), **wanted)
        begun = [row["id"] for row in rows if row["state"] != "succeeded"]
        spent, schedules, trained = spent_by(tx, begun), records.schedules(tx, begun), epochs_done(tx, begun)
    for row in rows:
        row |= _progress(row, spent.get(row["id"], Spent()), schedules.get(row["id"]), trained.get(row["id"], 0))
    return {"records": rows[:limit], "more": len(rows) > limit}


def _progress(row: Mapping[str, Any], spent: Spent, schedule: tuple[Any, Any] | None, epochs: int) -> dict[str, Any]:
    if row["state"] == "succeeded":
        return {"progress": 1.0}
    seconds = row["seconds"] if row["seconds"] is not None else (spent.seconds if spent.nfe else None)
    config, sigmas = schedule or (None, None)
    if row["kind"] == "train":
        return {"progress": fraction(epochs, config["epochs"]) if config else None, "seconds": seconds}
    return {"progress": progress_of(spent.nfe, config, sigmas), "seconds": seconds}


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


def changes(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be changed of a record, checked. Raises ConfigError with every problem, by field."""
    checks = {"name": _name, "star": _bool, "note": _note, "locked": _bool}
    problems = {name: f"expected some of {', '.join(checks)}" for name in body if name not in checks}
    if not body:
        problems["body"] = f"expected some of {', '.join(checks)}, got nothing"
    found: dict[str, Any] = {}
    for name in checks.keys() & body.keys():
        try:
            found[name] = checks[name](body[name])
        except LabError as error:
            problems[name] = str(error)
    if problems:
        raise ConfigError({clean(name)[:60]: text for name, text in problems.items()})
    return found


def _name(value: Any) -> str | None:
    """One line; None for none. What no database can hold is replaced."""
    if value is None:
        return None
    name = " ".join(_text(value).split())
    if len(name) > MAX_NAME:
        raise LabError(f"expected at most {MAX_NAME} characters, got {len(name):,}")
    return name or None


def _note(value: Any) -> str:
    note = _text(value).replace("\r\n", "\n").strip()
    if len(note) > MAX_NOTE:
        raise LabError(f"expected at most {MAX_NOTE:,} characters, got {len(note):,}")
    return note


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise LabError(f"expected text, got {value!r:.60}")
    return clean(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise LabError(f"expected true or false, got {value!r:.60}")
    return value


def _flag(asked: Mapping[str, str], name: str) -> bool | None:
    value = asked.get(name)
    if value is None:
        return None
    if value not in _FLAGS:
        raise LabError(f"{name}: expected 1 or 0, got {value!r:.60}")
    return _FLAGS[value]


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
    return row | _progress(row, spent.get(row["id"], Spent()), schedules.get(row["id"]), trained.get(row["id"], 0))
