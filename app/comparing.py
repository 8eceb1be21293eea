"""Two to six records side by side: what can be compared with what, and everything that is shown of it. No torch.

Records of different kinds are compared among their own kind, and it is said what cannot be.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from app import compare_verdicts as verdicts
from app.compare_align import moments, same_schedule
from app.compare_read import KINDS, Comparison, read, title_parts
from app.compare_settings import families, listed, rows
from app.compare_words import Verdict, title_of
from app.measurements import Measurements
from core.config import from_dict, to_dict
from storage.progress import COSTS

if TYPE_CHECKING:
    from app.services import Lab

PLURALS = {"session": "searches", "train": "fine-tunes", "reliability": "reliability measurements"}
_TOLD = ("prompt", "preset", "search.preset", "prompts")  # settings that a label has otherwise


def compared(lab: "Lab", ids: Sequence[str], measurements: Measurements | None = None) -> dict[str, Any]:
    """Everything that the page shows of two to six records, but charts and candidates, as plain JSON.

    Records that are not there or cannot be compared are told in `records`. `sections` holds what is shown of each kind.
    """
    known = measurements or Measurements(lab)
    found = read(lab, ids, known)
    sections = {
        "session": _sessions_section(lab, found),
        "train": _trains_section(lab, found),
        "reliability": _measures_section(found, known),
    }
    return {
        "records": named(found),
        "stamp": found.stamp,
        "live": any(one.get("live") for one in found.heads),
        "sentences": sentences(found),
        "sections": {kind: section for kind, section in sections.items() if section},
    }


def named(found: Comparison) -> list[dict[str, Any]]:
    """The heads, each with the `label` that tells it from others of its kind; `apart` is what of it the title lacks."""
    parts, titles = (
        _parts(found),
        {letter: title_parts(row) for kind in KINDS for letter, row in found.of_kind(kind).items()},
    )
    told = []
    for one in found.heads:
        own = parts.get(one["letter"], [])
        apart = [part for part in own if part not in titles[one["letter"]]]
        told.append(one | {"label": ", ".join(own) or one["title"], "apart": ", ".join(apart)})
    return told


def labels(found: Comparison) -> dict[str, str]:
    """What each record is called among the others, by letter."""
    return {one["letter"]: one["label"] for one in named(found)}


def _parts(found: Comparison) -> dict[str, list[str]]:
    """What tells each record from the others of its kind in a few words: its own name, else preset and prompt as far as
    they differ, and where that is not enough, settings that do.
    """
    told: dict[str, list[str]] = {}
    for kind in KINDS:
        there = found.of_kind(kind)
        differing = [row for row in rows(kind, {letter: row.config for letter, row in there.items()}) if row["differs"]]
        further = [row for row in differing if row["name"] not in _TOLD]
        parts = {letter: _begun(kind, row, list(there.values())) for letter, row in there.items()}
        for row in further:
            groups: dict[tuple[str, ...], list[str]] = {}
            for letter, own in parts.items():
                groups.setdefault(tuple(own), []).append(letter)
            for letters in groups.values():
                if len({row["values"][letter] for letter in letters}) > 1:
                    parts |= {letter: [*parts[letter], _setting(row, letter)] for letter in letters}
        told |= parts
    return told


def _begun(kind: str, row: sa.Row, alike: Sequence[sa.Row]) -> list[str]:
    """How a record's label begins: with its name where no other has it."""
    if row.name and [one.name for one in alike].count(row.name) == 1:
        return [row.name]
    parts = [row.preset] if kind != "reliability" and len({one.preset for one in alike}) > 1 else []
    return parts + ([row.prompt] if len({one.prompt for one in alike}) > 1 else [])


def _setting(row: Mapping[str, Any], letter: str) -> str:
    label = row["label"]
    return f"{label[:1].lower()}{label[1:]} {row['values'][letter]}"


def sentences(found: Comparison) -> list[str]:
    """What can be compared with what, where that is not plain."""
    by_kind = {kind: list(found.of_kind(kind)) for kind in KINDS}
    present = {kind: letters for kind, letters in by_kind.items() if letters}
    said = []
    if len(present) > 1:
        each = [
            f"{listed(letters)} {'is a' if len(letters) == 1 else 'are'} {_called(kind, letters)}"
            for kind, letters in present.items()
        ]
        said.append(f"{'; '.join(sorted(each))}. Records of one kind can be laid over one another, others not.")
    alone = [letters[0] for letters in present.values() if len(letters) == 1]
    if alone and sum(len(letters) for letters in present.values()) > 1:
        has = "has" if len(alone) == 1 else "have"
        said.append(f"{listed(alone)} {has} no other of its kind here.")
    return said + _made_by(found)


def _called(kind: str, letters: Sequence[str]) -> str:
    return PLURALS[kind] if len(letters) > 1 else KINDS[kind]


def _made_by(found: Comparison) -> list[str]:
    """Which searches ran on a model that a fine-tune beside them trained."""
    trained = {row.id: letter for letter, row in found.of_kind("train").items()}
    said = []
    for letter, row in found.of_kind("session").items():
        made = row.model.partition("+")[2].partition("@")[0]
        if made in trained:
            said.append(f"{letter} was searched with the model that {trained[made]} trained.")
    return said


def _sessions_section(lab: "Lab", found: Comparison) -> dict[str, Any]:
    views = found.sessions
    if not views:
        return {}
    with lab.database.read() as tx:
        verdict, beside = verdicts.of_sessions(tx, found.of_kind("session"))
    configs = {letter: to_dict(from_dict(view["config"])) for letter, view in views.items()}
    sigmas = {letter: view["sigmas"] for letter, view in views.items()}
    initial = [letter for letter, view in views.items() if any(row["step"] < 0 for row in view["iterations"])]
    names = list(dict.fromkeys(name for config in configs.values() for name in config["rewards"]))
    return _section(configs, verdict, beside, "session") | {
        "moments": moments(sigmas, initial),
        "same_schedule": same_schedule(sigmas),
        "rewards": [_reward(name, {letter: config["rewards"] for letter, config in configs.items()}) for name in names],
        "sides": {letter: _session_side(view) for letter, view in views.items()},
    }


def _reward(name: str, weights: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """A reward: who has it, and who climbs it."""
    having = [letter for letter, own in weights.items() if name in own]
    return {
        "name": name,
        "title": title_of(name),
        "letters": having,
        "climbed": [one for one in having if weights[one][name]],
    }


def _session_side(view: Mapping[str, Any]) -> dict[str, Any]:
    """What the page needs of one session; candidates are asked for a timestep at a time."""
    counts: dict[int, list[int]] = {}
    for row in view["iterations"]:
        counts.setdefault(row["step"], []).append(row["num_candidates"])
    steps = [
        {name: row[name] for name in ("step", "image", "rewards", "noise_norm", "nfe", "seconds")}
        for row in view["steps"]
    ]
    names = ("id", "state", "sigmas", "searched", "arms", "config", "seq")
    return {name: view[name] for name in names} | {
        "steps": steps,
        "rounds": [{"step": step, "iterations": len(each), "candidates": max(each)} for step, each in counts.items()],
        "cost": {name: view["cost"][name] for name in COSTS},
    }


def _trains_section(lab: "Lab", found: Comparison) -> dict[str, Any]:
    sides = found.trains
    if not sides:
        return {}
    with lab.database.read() as tx:
        verdict, beside = verdicts.of_runs(tx, sides, found.of_kind("train"))
    shared = sides[next(iter(sides))]["config"]["rewards"]
    names = [name for name in shared if all(name in side["config"]["rewards"] for side in sides.values())]
    same = all(side["config"]["rewards"] == shared for side in sides.values())
    if not same:
        beside = [*beside, "They trained different sums of rewards: the sums cannot be compared, single rewards can."]
    measures = ([{"name": "", "title": "Trained sum"}] if same else []) + [
        {"name": name, "title": title_of(name)} for name in names
    ]
    configs = {letter: side["config"] for letter, side in sides.items()}
    return _section(configs, verdict, beside, "train") | {"sides": sides, "measures": measures}


def _measures_section(found: Comparison, measurements: Measurements) -> dict[str, Any]:
    sides = found.measures
    if not sides:
        return {}
    arrays = {letter: measurements.found(side["id"]) for letter, side in sides.items() if side["rows_done"]}
    verdict, beside = verdicts.of_measurements(arrays)
    optimised = {side["optimised"] for side in sides.values()}
    if len(optimised) > 1:
        beside = [*beside, "They were scored by different rewards: ranks can be compared, gains cannot."]
    estimates = list(dict.fromkeys(name for side in sides.values() for name in side["estimates"]))
    usual = next(
        (name for name in estimates if all(name in side["estimates"] for side in sides.values())), estimates[0]
    )
    configs = {letter: side["config"] for letter, side in sides.items()}
    more = {"sides": sides, "estimates": estimates, "estimate": usual}
    return _section(configs, verdict, beside, "reliability") | more


def _section(
    configs: Mapping[str, Mapping[str, Any]], verdict: list[Verdict], beside: list[str], kind: str
) -> dict[str, Any]:
    told = {"letters": list(configs), "settings": rows(kind, configs), "verdicts": verdict, "beside": beside}
    return told | {"families": families(kind, configs)}
