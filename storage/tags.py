"""Tags: short words that a person gives records, to find them together. A record's are its own, sorted.

Every function works in the transaction `tx` it is given; what a tag may be is the caller's to check.
"""

from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.counter import advance
from storage.tables import records, tags


def tags_of(tx: Session, ids: Collection[str]) -> dict[str, list[str]]:
    """The tags of each of these records; a record without any is left out."""
    found: dict[str, list[str]] = {}
    query = sa.select(tags.c.record_id, tags.c.tag).where(tags.c.record_id.in_(ids))
    for record_id, tag in tx.execute(query.order_by(tags.c.record_id, tags.c.tag)).tuples():
        found.setdefault(record_id, []).append(tag)
    return found


def set_tags(tx: Session, record_id: str, wanted: Iterable[str]) -> None:
    """Give a record these tags and no others. NotFound where there is no such record."""
    advance(tx, record_id)
    tx.execute(sa.delete(tags).where(tags.c.record_id == record_id))
    if rows := [{"record_id": record_id, "tag": tag} for tag in sorted(set(wanted))]:
        tx.execute(sa.insert(tags), rows)


def add_and_remove(tx: Session, record_id: str, added: Iterable[str], removed: Iterable[str]) -> list[str]:
    """Give a record some tags and take others away; returns what it has now. NotFound where there is no such record."""
    now = sorted({*tags_of(tx, [record_id]).get(record_id, ()), *added} - set(removed))
    set_tags(tx, record_id, now)
    return now


def counted(tx: Session, *, trash: bool) -> dict[str, int]:
    """Every tag and how many records have it: of those in the trash, or of the others."""
    there = (~records.c.erased, records.c.deleted_at.is_not(None) == trash)
    number = sa.func.count()
    query = sa.select(tags.c.tag, number).join(records).where(*there).group_by(tags.c.tag)
    return dict(tx.execute(query.order_by(number.desc(), tags.c.tag)).tuples().all())
