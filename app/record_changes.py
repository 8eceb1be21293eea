"""What a person may change of records: one in its fields, or several at once, or all that lies in the trash."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from app.status import record_size
from core.errors import ConfigError, LabError
from storage import records, tags
from storage.artifacts import Artifacts
from storage.engine import Database
from storage.values import clean

MAX_NAME = 200
MAX_NOTE = 10_000
MAX_TAG = 40
MAX_TAGS = 20
MAX_AT_ONCE = 500

Change = Callable[[Session, str], object]


def change(database: Database, record_id: str, body: Mapping[str, Any]) -> None:
    """Name, star, note, lock or tag a record. Raises ConfigError by field, NotFound."""
    values = changes(body)
    wanted = values.pop("tags", None)
    with database.write() as tx:
        records.change_record(tx, record_id, values)
        if wanted is not None:
            tags.set_tags(tx, record_id, wanted)


def change_several(database: Database, body: Mapping[str, Any]) -> dict[str, Any]:
    """Do one thing to several records: `ids`, what to `do` (see `_DEEDS`), and `tags` to add or take away.

    Returns the ids that were `done` and, as `refused`, each that was not and `why`. Raises LabError.
    """
    ids, deed = _ids(body.get("ids")), _deed(body)
    done: list[str] = []
    refused: list[dict[str, str]] = []
    with database.write() as tx:
        for record_id in ids:
            try:
                deed(tx, record_id)  # refuses before it has written anything
                done.append(record_id)
            except LabError as error:
                refused.append({"id": record_id, "why": str(error)})
    return {"done": done, "refused": refused}


def trash_size(database: Database, artifacts: Artifacts) -> dict[str, Any]:
    """How many records lie in the trash, how many of them are locked, the `sizes` of all by id, and the `bytes` that
    deleting those that are not locked frees at most: pictures that other records show too stay."""
    with database.read() as tx:
        lying = records.in_trash(tx)
        held = {record_id for record_id in lying if records.get_record(tx, record_id)["locked"]}
    sizes = {record_id: record_size(database, artifacts, record_id) for record_id in lying}
    free = sum(size for record_id, size in sizes.items() if record_id not in held)
    return {"count": len(lying), "locked": len(held), "bytes": free, "sizes": sizes}


def purge(database: Database, body: Mapping[str, Any]) -> dict[str, Any]:
    """Delete for good whatever lies in the trash and is not locked; like `change_several`.

    `count` is how many there were when the person looked: where there are others now, nothing is deleted. LabError.
    """
    with database.write() as tx:
        lying = records.in_trash(tx)
        if body.get("count") != len(lying):
            raise LabError(
                f"the trash holds {len(lying)} now, not {body.get('count')!r:.20}: look again before emptying it"
            )
        locked = [record_id for record_id in lying if records.get_record(tx, record_id)["locked"]]
        done = [record_id for record_id in lying if record_id not in set(locked)]
        for record_id in done:
            records.erase(tx, record_id)
    return {"done": done, "refused": [{"id": record_id, "why": "it is locked"} for record_id in locked]}


def _set(**values: Any) -> Change:
    return lambda tx, record_id: records.change_record(tx, record_id, values)


_DEEDS: dict[str, Change] = {
    "star": _set(star=True),
    "unstar": _set(star=False),
    "lock": _set(locked=True),
    "unlock": _set(locked=False),
    "trash": records.trash,
    "restore": records.restore,
    "erase": records.erase,
}


def _deed(body: Mapping[str, Any]) -> Change:
    wanted = body.get("do")
    if wanted in ("tag", "untag"):
        named = _named(body.get("tags"))
        added, removed = (named, []) if wanted == "tag" else ([], named)
        return lambda tx, record_id: tags.add_and_remove(tx, record_id, added, removed)
    if not isinstance(wanted, str) or wanted not in _DEEDS:
        raise LabError(f"do: expected one of {', '.join([*_DEEDS, 'tag', 'untag'])}, got {wanted!r:.60}")
    return _DEEDS[wanted]


def _named(value: Any) -> list[str]:
    try:
        named = _tags(value)
    except LabError as error:
        raise LabError(f"tags: {error}") from None
    if not named:
        raise LabError("tags: expected at least one")
    return named


def _ids(value: Any) -> list[str]:
    """Each once, in the order given."""
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise LabError(f"ids: expected a list of records, got {value!r:.60}")
    if len(value) > MAX_AT_ONCE:
        raise LabError(f"ids: expected at most {MAX_AT_ONCE} records at once, got {len(value):,}")
    return list(dict.fromkeys(value))


def changes(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be changed of a record, checked. Raises ConfigError with every problem, by field."""
    checks = {"name": _name, "star": _bool, "note": _note, "locked": _bool, "tags": _tags}
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


def _tags(value: Any) -> list[str]:
    """Sorted, each once. A comma stands between tags wherever they are typed, so there is none in one."""
    if not isinstance(value, list):
        raise LabError(f"expected a list of texts, got {value!r:.60}")
    found = sorted({" ".join(_text(one).split()) for one in value} - {""})
    if len(found) > MAX_TAGS:
        raise LabError(f"expected at most {MAX_TAGS} tags, got {len(found):,}")
    for tag in found:
        if len(tag) > MAX_TAG or "," in tag:
            raise LabError(f"expected tags of at most {MAX_TAG} characters without a comma, got {tag[:50]!r}")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise LabError(f"expected text, got {value!r:.60}")
    return clean(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise LabError(f"expected true or false, got {value!r:.60}")
    return value
