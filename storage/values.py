"""Values on their way into the database and out as JSON."""

import json
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from core.config import ExploreConfig
from core.errors import NotFound


def dumps(value: Any) -> str:
    """JSON as the database keeps it: strict (NaN is an error here), in the order given."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def number(value: Any) -> float | None:
    """A finite float, or None for NaN, an infinity and None."""
    if value is None:
        return None
    value = float(value)
    return value if math.isfinite(value) else None


def numbers(values: Iterable[Any]) -> list[float | None]:
    """`number` of each."""
    return [number(value) for value in values]


def nan_for_none(values: Iterable[float | None]) -> tuple[float, ...]:
    """The way back: NaN where a non-finite number was."""
    return tuple(math.nan if value is None else value for value in values)


def clean(value: str) -> str:
    """Text that every database can hold: NUL and halves of surrogate pairs become the replacement character."""
    return "".join("\ufffd" if ch == "\0" or "\ud800" <= ch <= "\udfff" else ch for ch in value)


def iso(seconds: float) -> str:
    """A time as JSON has it: UTC, to the millisecond."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}Z"


def weighted(weights: Mapping[str, float], values: Mapping[str, float | None]) -> float | None:
    """The searched sum of rewards; None where a reward in it is missing or not finite."""
    climbed = [(weight, values.get(name)) for name, weight in weights.items() if weight]
    if any(value is None for _, value in climbed):
        return None
    # The same sum in the same order as the engine's: a resumed session's trail must be the same to the last bit.
    return number(sum(weight * value for weight, value in climbed if value is not None))


def arm_order(config: ExploreConfig, found: Iterable[str]) -> list[str]:
    """Arms as they are shown: the search, then the config's."""
    order = ["search", *config.arms]
    return sorted(found, key=lambda arm: (order.index(arm) if arm in order else len(order), arm))


def checked_id(record_id: str) -> str:
    """The id, if a record could have it: ids come from addresses people can type. NotFound otherwise."""
    if not isinstance(record_id, str) or not record_id.isascii() or not record_id.isalnum():
        raise missing(record_id)
    return record_id


def this(kind: str) -> str:
    """What to call a record, or what a job works on, by its kind."""
    names = {"reliability": "measurement", "measure": "measurement", "train": "fine-tune", "evaluate": "evaluation"}
    names |= {"replay": "replay check", "sweep": "sweep"}
    return f"this {names.get(kind, 'session')}"


def missing(record_id: str) -> NotFound:
    """The error for an id that no record has."""
    return NotFound(f"there is no session {record_id!r:.60}")
