"""Records side by side on as many axes as their settings differ in, with what came of each: parallel coordinates."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from app.labels import label_of
from app.record_filters import FILTERS, read_filters
from app.sweep_config import from_plain, value_text
from app.weights import write_weights
from core.errors import LabError
from storage import listing, sweeps
from storage.engine import Database
from storage.run_tables import runs
from storage.tables import records, sessions

MOST = 1_000  # records; the newest ones
MOST_WORDS = 24  # a setting with more words than that is no axis: nobody could read it
KINDS = {"session": "searches", "train": "fine-tunes"}
MEASURES = {"nfe": "Evaluations", "seconds": "Seconds", "reward": "Reward", "gain": "Gain"}
_LABELS = {"rewards": "Climbs"}
_SAME_FOR_ALL = ("threads", "batch_size")  # settings of the machine, not of the search


def coordinates(database: Database, asked: Mapping[str, str]) -> dict[str, Any]:
    """`records` (id, title, kind, state) and `axes`: each with a number for every record, and `words` where the numbers
    stand for such. `asked` are the library's filters, or `sweep` with a sweep's id. Raises LabError.

    Only searches or only fine-tunes can share axes: of both, those of which there are more; `left_out` counts the rest.
    """
    if unknown := sorted(asked.keys() - FILTERS - {"sweep"}):
        raise LabError(f"expected sweep or some of {', '.join(sorted(FILTERS))}, got {', '.join(unknown)[:100]}")
    asked = {name: value for name, value in asked.items() if value}
    listed = _of_sweep(database, asked["sweep"]) if "sweep" in asked else _of_library(database, asked)
    ended = [row for row in listed if row["kind"] in KINDS and row["state"] == "succeeded"]
    kind = Counter(row["kind"] for row in ended).most_common(1)[0][0] if ended else "session"
    shown = [row for row in ended if row["kind"] == kind]
    told = {"kind": kind, "word": KINDS[kind], "left_out": len(listed) - len(shown), "most": MOST}
    about = [{"id": row["id"], "title": row["name"] or row["prompt"], "kind": row["kind"]} for row in shown]
    return told | {"records": about, "axes": _axes(kind, shown)}


def _of_library(database: Database, asked: Mapping[str, str]) -> list[dict[str, Any]]:
    with database.read() as tx:
        rows = listing.list_records(tx, limit=MOST, sort="newest", **read_filters(asked))
    return _with_numbers(database, [row["id"] for row in rows])


def _of_sweep(database: Database, record_id: str) -> list[dict[str, Any]]:
    with database.read() as tx:
        config = from_plain(sweeps.sweep_row(tx, record_id).config)
        known = sweeps.outcomes(tx, record_id, {run.key for run in config.runs()}, config.kind.name)
    return _with_numbers(database, [one.record_id for one in known.values()])


def _with_numbers(database: Database, ids: Sequence[str]) -> list[dict[str, Any]]:
    names = ("id", "kind", "name", "prompt", "state", "config", "reward", "headline")
    spent = [
        sa.func.coalesce(sessions.c[name], runs.c[name], type_=sessions.c[name].type).label(name)
        for name in ("nfe", "seconds")
    ]
    joined = records.outerjoin(sessions).outerjoin(runs, runs.c.record_id == records.c.id)
    query = sa.select(*(records.c[name] for name in names), *spent).select_from(joined).where(records.c.id.in_(ids))
    with database.read() as tx:
        return [dict(row._mapping) for row in tx.execute(query.order_by(records.c.created_at, records.c.id))]


def _axes(kind: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The settings in which the records differ, then what came of them."""
    plain = [_flat(row["config"]) for row in rows]
    names = list(dict.fromkeys(name for one in plain for name in one))
    varied = [name for name in names if len({value_text(one.get(name)) for one in plain}) > 1]
    axes = [_axis(kind, name, [one.get(name) for one in plain]) for name in varied if name not in _SAME_FOR_ALL]
    came = [_outcome(row) for row in rows]
    for name, label in MEASURES.items():
        values = [one[name] for one in came]
        if len(set(values)) > 1:
            axes.append({"name": name, "label": label, "values": values, "words": None, "outcome": True})
    return [axis for axis in axes if axis is not None]


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config's settings by name, those of its search with their own; the climbed rewards as one text.

    What a fine-tune and its search both have, as the preset, is the fine-tune's.
    """
    search = config.get("search") if isinstance(config.get("search"), dict) else {}
    plain = {name: value for name, value in config.items() if isinstance(value, str | int | float | None)}
    climbed = {name: weight for name, weight in (config.get("rewards") or {}).items() if weight}
    return dict(search or {}) | plain | {"rewards": write_weights(climbed)}


def _axis(kind: str, name: str, values: Sequence[Any]) -> dict[str, Any] | None:
    """Numbers as they are; else each word has a number, in the order of the alphabet. None for too many words."""
    about = {"name": name, "label": _LABELS.get(name) or label_of(kind, name), "outcome": False}
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return about | {"values": list(values), "words": None}
    texts = [value_text(value) for value in values]
    words = sorted(set(texts))
    if len(words) > MOST_WORDS:
        return None
    return about | {"values": [words.index(text) for text in texts], "words": words}


def _outcome(row: Mapping[str, Any]) -> dict[str, float | None]:
    """What came of a record: a search's reward and what that is over no search, a fine-tune's on held-out prompts."""
    headline = row["headline"] or {}
    first, last = headline.get("no_search"), row["reward"]
    if row["kind"] == "train":
        first, last = headline.get("heldout_ema") or headline.get("heldout") or (None, None)
    gain = None if first is None or last is None else last - first
    return {"nfe": row["nfe"], "seconds": row["seconds"], "reward": last, "gain": gain}
