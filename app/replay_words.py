"""What a replay check came to, in words."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from app.orders import name_of_step
from core.replay import CLOSE, IDENTICAL, PARTED
from storage.replays import latest_replay

_UNITS = {"session": "timesteps", "reliability": "rows", "train": "epochs"}
_NAMES = {"lab": "the lab", "commit": "the lab's code", "device_name": "the device", "platform": "the system"}


def sentences(result: Mapping[str, Any]) -> list[str]:
    """The verdict first, then what it was computed on, and how much of the record it was."""
    return [_verdict(result), _circumstances(result), *_extent(result)]


def told(tx: Session, record_id: str) -> dict[str, Any] | None:
    """A record's newest check as pages show it: number, status, error, verdict and sentences; None without one."""
    found = latest_replay(tx, record_id)
    if found is None:
        return None
    result = found.pop("result")
    return found | {"verdict": result and result["verdict"], "sentences": sentences(result) if result else []}


def _verdict(result: Mapping[str, Any]) -> str:
    counted = f"{result['numbers']:,} numbers of {result['pieces']} events"
    if result["verdict"] == IDENTICAL:
        return f"Computed once more, it came out the same to the last bit: {counted}."
    if result["verdict"] == CLOSE:
        largest = max(value for value in result["largest"].values() if value is not None)
        first = result["first"]
        return (
            f"Computed once more, it came out the same but for rounding: {counted} differ by at most "
            f"{_share(largest)} of the largest value beside them, first {where(first)} ({first['name']}). "
            f"Up to {result['tolerance']:g} counts as rounding."
        )
    if result["verdict"] == PARTED:
        return f"Computed once more, it parts {where(result['parted'])}: {_change(result['parted'])}."
    return "Nothing of it is stored that could be compared."


def where(found: Mapping[str, Any]) -> str:
    """A place as people count."""
    place, index = found["place"], found["index"]
    what = place["what"]
    if what == "start":
        return "at the start"
    if what == "arm":
        return f"in the outcome of {place['arm']}"
    if what == "epoch":
        return f"in epoch {place['epoch']}"
    if what == "siblings":
        told = f"in row {place['row'] + 1}, step {place['step'] + 1}"
        return told if index is None else f"{told}, sibling {index + 1}"
    told = f"at {name_of_step(place['step'])}"
    if what == "iteration":
        told += f", iteration {place['iteration'] + 1}"
        return told if index is None else f"{told}, candidate {index + 1}"
    return told


def _change(found: Mapping[str, Any]) -> str:
    then, now = (_value(found[side]) for side in ("stored", "again"))
    more = "" if found["deviation"] is None else f", {_share(found['deviation'])} of the largest value beside it"
    return f"{found['name']} was {then} and is {now}{more}"


def _share(value: float) -> str:
    """As 7.0e-6."""
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits}e{int(power)}"


def _value(value: Any) -> str:
    if value is None:
        return "no number"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _circumstances(result: Mapping[str, Any]) -> str:
    differs = result["differs"]
    if differs is None:
        return "What it was made on was not noted then, so that versions cannot be compared."
    if not differs:
        return "It was computed with the same versions, device and threads as then."
    changed = [
        f"{_NAMES.get(name, name)} {_plain(then)} then, {_plain(now)} now" for name, (then, now) in differs.items()
    ]
    return f"What differs from then: {'; '.join(changed)}."


def _plain(value: Any) -> str:
    return "unknown" if value is None else str(value)


def _extent(result: Mapping[str, Any]) -> list[str]:
    """What was left out, and what was asked to be different."""
    said = []
    if result["limit"] is not None:
        said.append(f"Only the first {result['limit']} {_UNITS[result['kind']]} were computed.")
    if result["changed_here"]:
        asked = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in result["changed_here"].items())
        said.append(f"It was asked for with another setting: {asked}.")
    return said
