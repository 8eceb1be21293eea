"""How a comparison of two is told: as a row of a table, a word and a sentence. Pure functions; no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.compare_settings import listed
from core.rewards.registry import REWARDS
from core.versus import FEWEST_PROMPTS, FEWEST_SEEDS, Key, Versus

Verdict = dict[str, Any]


@dataclass(frozen=True)
class Family:
    """Letters with the same settings; `values[measure]` by (prompt, seed), `nfe` a mean search's evaluations."""

    letters: tuple[str, ...]
    values: dict[str, dict[Key, float]]
    nfe: float | None = None

    @property
    def name(self) -> str:
        """As sentences call it."""
        return listed(self.letters)


def title_of(name: str) -> str:
    """A reward's title."""
    return REWARDS[name].title if name in REWARDS else name


def verdict(
    one: Family,
    other: Family,
    found: Versus | None,
    measure: str,
    about: str,
    title: str | None = None,
    unit: str = "sample",
) -> Verdict:
    """A comparison as pages and files have it: who, on what, values, difference and interval, words."""
    named = title or title_of(measure)
    told: Verdict = {
        "one": list(one.letters),
        "other": list(other.letters),
        "measure": measure,
        "title": named,
        "about": about,
    }
    told |= {name: None if found is None else getattr(found, name) for name in ("mean", "low", "high", "over")}
    told |= {"values": None if found is None else [found.one, found.other], "better": found.better if found else None}
    told |= {
        "pairs": found.pairs if found else 0,
        "prompts": found.prompts if found else 0,
        "nfe": [one.nfe, other.nfe],
    }
    return told | {
        "verdict": verdict_word(one, other, found),
        "sentence": sentence(one, other, found, f"{named}, {about}", unit),
    }


def verdict_word(one: Family, other: Family, found: Versus | None) -> str:
    """The verdict in a word or two."""
    if found is None:
        return "nothing shared"
    if found.pairs == 1:
        return "one sample, no verdict"
    if found.low is None:
        return "too few, no verdict"
    if found.better is None:
        return "cannot be told apart"
    winner = one if found.better == "one" else other
    return f"{winner.name} {'is' if len(winner.letters) == 1 else 'are'} higher"


def sentence(one: Family, other: Family, found: Versus | None, what: str, unit: str = "sample") -> str:
    """A comparison of two in a sentence: `what` was measured, and what a pair is."""
    if found is None:
        return f"{what}: {one.name} and {other.name} share no prompt and seed, so nothing can be paired."
    values = f"{what}: {one.name} {found.one:.3f}, {other.name} {found.other:.3f}"
    if found.pairs == 1:
        return f"{values}. One {unit}, no verdict."
    less = f"{values}; {one.name} less {other.name} is {found.mean:+.3f}"
    if found.low is None or found.high is None:
        needed = f"it takes {FEWEST_PROMPTS} prompts, or {FEWEST_SEEDS} seeds of each"
        return f"{less} over {found.pairs} {unit}s: too few for a verdict ({needed})."
    where = ", on these prompts only" if found.over == "seeds" and unit == "sample" else ""
    over = f"[{found.low:+.3f}, {found.high:+.3f}] over {found.pairs} {unit}s{where}"
    return f"{less} {over}: {verdict_word(one, other, found)}."


def one_family(groups: Sequence[Sequence[str]]) -> list[str]:
    """What is said where all have the same settings."""
    if not groups or len(groups[0]) < 2:
        return []
    return [
        f"{listed(groups[0])} differ in prompt, seed or what changes no result: there is no other way to be better by."
    ]


def beside(verdicts: Sequence[Verdict], what: str) -> list[str]:
    """What must be said beside several intervals."""
    told = [one for one in verdicts if one["low"] is not None]
    said = []
    if any(len(one[side]) > 1 for one in verdicts for side in ("one", "other")):
        said.append("Letters side by side, as BD, have the same settings and are counted as one.")
    if any(one["pairs"] for one in verdicts):
        said.append(f"Paired by {what}, also of other finished records with the same settings.")
    if len(told) > 1:
        said.append(f"{len(told)} intervals of 95% each: about one in twenty misses by chance alone.")
    return said
