"""What a list of records is narrowed to and sorted by, as an address has it: every value is text."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from core.errors import LabError
from storage.jobs import STATUSES
from storage.values import clean

SAME = ("kind", "state", "preset", "model", "reward", "tag")
FILTERS = frozenset({*SAME, "text", "star", "trash", "since", "until", "sort", "before", "limit"})
MAX_WANTED = 500
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


def read_filters(asked: Mapping[str, str]) -> dict[str, Any]:
    """What `storage.listing.list_records` is to narrow to, from the texts of an address. Raises LabError.

    `since` and `until` are days (2026-11-23, in UTC; the last one counts) or moments with an offset. Those of `FILTERS`
    that say which page of the list is wanted (sort, before, limit) are not looked at.
    """
    state = asked.get("state")
    if state is not None and state not in STATUSES:
        raise LabError(f"state: expected one of {', '.join(STATUSES)}, got {state!r:.60}")
    wanted: dict[str, Any] = {name: clean(asked[name]) for name in SAME if name in asked}
    wanted |= {"text": asked.get("text", "")[:MAX_WANTED], "star": flag(asked, "star")}
    wanted |= {"trash": bool(flag(asked, "trash"))}
    return wanted | {name: _moment(asked, name) for name in ("since", "until")}


def flag(asked: Mapping[str, str], name: str) -> bool | None:
    """1 or 0, None where neither was said. Raises LabError."""
    value = asked.get(name)
    if value is None:
        return None
    if value not in _FLAGS:
        raise LabError(f"{name}: expected 1 or 0, got {value!r:.60}")
    return _FLAGS[value]


def _moment(asked: Mapping[str, str], name: str) -> float | None:
    """Seconds since 1970."""
    text = asked.get(name)
    if text is None:
        return None
    try:
        if len(text) == len("2026-11-23"):
            day = date.fromisoformat(text) + timedelta(days=name == "until")
            return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.timestamp()
    except (ValueError, OverflowError):
        pass
    raise LabError(f"{name}: expected a day such as 2026-11-23, or a moment with its offset, got {text!r:.60}")
