"""Lists of records: narrowed by words and filters, in some order, a page at a time; and what there is to filter by.

Every function works in the transaction `tx` it is given.
"""

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import StorageError
from storage.run_tables import runs
from storage.tables import records, reliability, sessions, tags
from storage.tags import counted, tags_of
from storage.values import checked_id, clean, dumps, iso, missing
from storage.views import record_row

SORTS = ("newest", "oldest", "reward", "gain", "cost", "name")
FACETS = ("kind", "state", "model", "preset", "reward", "tag")
_SHOWN = ("id", "kind", "name", "prompt", "preset", "model", "state", "error", "headline", "parent", "star", "note")
_COLUMNS = [records.c[name] for name in (*_SHOWN, "locked", "picture", "reward", "created_at", "deleted_at")]
_KINDS = (sessions, reliability, runs)  # most records have a row in one of them
_SEARCHED = [records.c.prompt, sa.func.coalesce(records.c.name, ""), records.c.note, records.c.preset, records.c.model]
_MOST_WORDS = 10  # each is looked for by itself; what comes after is looked for as it stands
_LOWEST = -1e308  # below every reward: where there is none


def list_records(
    tx: Session, *, limit: int, before: str | None = None, sort: str = "newest", **narrowed: Any
) -> list[dict[str, Any]]:
    """Records in an order of `SORTS`; `before` is the id of the last one already shown, `narrowed` as in `_where`."""
    query = _select().where(*_where(**narrowed))
    keys, descending = _order(sort)
    if before is not None:
        query = query.where(_after(tx, keys, descending, record_row(tx, before).id))
    rows = tx.execute(query.order_by(*(key.desc() if descending else key for key in keys)).limit(limit)).all()
    named = tags_of(tx, [row.id for row in rows])
    return [_listed(row, named) for row in rows]


def get_record(tx: Session, record_id: str) -> dict[str, Any]:
    """One record as a list shows it, also in the trash. NotFound where there is none."""
    query = _select().where(records.c.id == checked_id(record_id), ~records.c.erased)
    row = tx.execute(query).first()
    if row is None:
        raise missing(record_id)
    return _listed(row, tags_of(tx, [row.id]))


def count_records(tx: Session, **narrowed: Any) -> int:
    """How many records `list_records` would list in the end."""
    return int(tx.scalar(sa.select(sa.func.count()).select_from(records).where(*_where(**narrowed))) or 0)


def facets(tx: Session, *, trash: bool = False) -> dict[str, dict[str, int]]:
    """What records can be narrowed to, by `FACETS`: each value there is and how many records have it, most first.

    Of all records that are not in the trash, or with `trash` of those in it, whatever else a list is narrowed to.
    """
    columns = [records.c[name] for name in ("kind", "state", "model", "preset", "rewards")]
    query = sa.select(*columns, sa.func.count().label("many")).where(*_where(trash=trash)).group_by(*columns)
    found: dict[str, dict[str, int]] = {name: {} for name in FACETS}
    for row in tx.execute(query).mappings():
        named = {name: [row[name]] for name in ("kind", "state", "model", "preset") if row[name]}
        if row["preset"] == row["kind"]:  # of a measurement, which has none
            del named["preset"]
        for facet, values in (named | {"reward": json.loads(row["rewards"])}).items():
            for value in values:
                found[facet][value] = found[facet].get(value, 0) + row["many"]
    most_first = {name: dict(sorted(many.items(), key=lambda one: (-one[1], one[0]))) for name, many in found.items()}
    return most_first | {"tag": counted(tx, trash=trash)}


def _where(
    *,
    text: str | None = None,
    trash: bool = False,
    star: bool | None = None,
    reward: str | None = None,
    tag: str | None = None,
    since: float | None = None,
    until: float | None = None,
    **same: str | None,
) -> list[sa.ColumnElement[bool]]:
    """What a record must be to be listed.

    `text`: each of its words occurs, in whatever case, in the prompt, name, note, preset or model; or it is the id.
    `trash`: lies in the trash, else not. `reward`: its config names that reward. `since`, `until`: was made then or
    later, and before then, in seconds since 1970. `same`: columns (kind, state, preset, model) and their values.
    """
    held = [~records.c.erased, records.c.deleted_at.is_not(None) == trash]
    held += [records.c[name] == value for name, value in same.items() if value is not None]
    if star is not None:
        held.append(records.c.star == star)
    if reward is not None:
        held.append(records.c.rewards.contains(dumps(clean(reward)), autoescape=True))
    if tag is not None:
        held.append(records.c.id.in_(sa.select(tags.c.record_id).where(tags.c.tag == tag)))
    if since is not None:
        held.append(records.c.created_at >= since)
    if until is not None:
        held.append(records.c.created_at < until)
    wanted = clean(text or "").strip()
    if wanted:
        all_of_it = sa.func.lower(sum(("\n" + column for column in _SEARCHED[1:]), _SEARCHED[0]))
        words = (all_of_it.contains(word, autoescape=True) for word in wanted.lower().split(maxsplit=_MOST_WORDS))
        held.append(sa.or_(sa.and_(*words), records.c.id == wanted))
    return held


def _select() -> sa.Select[Any]:
    query = sa.select(*_COLUMNS, _either("seconds").label("seconds"), _either("finished_at").label("finished_at"))
    joined = records.outerjoin(sessions)
    for table in (reliability, runs):
        joined = joined.outerjoin(table, table.c.record_id == records.c.id)
    return query.select_from(joined)


def _either(column: str) -> sa.ColumnElement[Any]:
    """A column that sessions, measurements and runs all have."""
    return sa.func.coalesce(*(table.c[column] for table in _KINDS))


def _gain() -> sa.ColumnElement[Any]:
    """What a search gained over no search, and a fine-tune on held-out prompts since its start; NULL where unknown."""
    headline = records.c.headline
    searched = headline["search"].as_float() - headline["no_search"].as_float()
    learned = [headline[(name, 1)].as_float() - headline[(name, 0)].as_float() for name in ("heldout_ema", "heldout")]
    return sa.case((records.c.kind == "train", sa.func.coalesce(*learned)), else_=searched)


def _order(sort: str) -> tuple[list[sa.ColumnElement[Any]], bool]:
    """What a list is sorted by, the id last so that no two records are equal; and whether the largest comes first."""
    if sort not in SORTS:
        raise StorageError(f"a list is expected to be sorted by {', '.join(SORTS)}, got {sort!r:.60}")
    dated: list[sa.ColumnElement[Any]] = [records.c.created_at, records.c.id]
    if sort == "reward":
        return [sa.func.coalesce(records.c.reward, _LOWEST), *dated], True
    if sort == "gain":
        return [sa.func.coalesce(_gain(), _LOWEST), *dated], True
    if sort == "cost":  # of those that have finished: before that their row holds none
        each = (sa.select(one.c.seconds).where(one.c.record_id == records.c.id) for one in _KINDS)
        spent = (one.correlate(records).scalar_subquery() for one in each)
        return [sa.func.coalesce(*spent, 0.0), *dated], True
    if sort == "name":
        return [sa.func.lower(sa.func.coalesce(records.c.name, records.c.prompt)), *dated], False
    return dated, sort == "newest"


def _after(tx: Session, keys: list[sa.ColumnElement[Any]], descending: bool, record_id: str) -> sa.ColumnElement[bool]:
    """Comes after that record. The database works out both sides, so that both are cased and rounded alike."""
    last = tx.execute(sa.select(*keys).where(records.c.id == record_id)).one()
    here, there = sa.tuple_(*keys), sa.tuple_(*(sa.literal(value) for value in last))
    return here < there if descending else here > there


def _listed(row: sa.Row, named: dict[str, list[str]]) -> dict[str, Any]:
    plain = dict(row._mapping)
    deleted, finished, seconds = (plain.pop(name) for name in ("deleted_at", "finished_at", "seconds"))
    return plain | {
        "created": iso(plain.pop("created_at")),
        "deleted": deleted is not None,
        "seconds": None if finished is None else seconds,
        "tags": named.get(row.id, []),
    }
