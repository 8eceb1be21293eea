"""What a sweep's cells come to: a measure of each run, and over prompts and seeds its mean with an interval."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from app.sweep_config import Run, SweepConfig
from app.sweep_kinds import SEARCHES
from core.rewards.registry import REWARDS
from storage.sweeps import BASE, RESULT, Outcome
from storage.values import weighted

BLIND = "no_search"


@dataclass(frozen=True)
class Measure:
    """One number a run: `reward` of what it made, or with `over` what that is above another arm's.

    None for the sum that is climbed; `cost` is nfe or seconds, of the whole run. `of_arm` is the run's own arm.
    """

    name: str
    label: str
    reward: str | None = None
    over: str | None = None
    cost: str | None = None
    of_arm: str = "search"

    def of(self, run: Run, outcome: Outcome) -> float | None:
        """The number; None where the run has none."""
        if self.cost:
            return float(getattr(outcome, self.cost))
        own = self._scored(run, outcome, self.of_arm)
        if self.over is None:
            return own
        other = self._scored(run, outcome, self.over)
        return None if own is None or other is None else own - other

    def _scored(self, run: Run, outcome: Outcome, arm: str) -> float | None:
        found = outcome.arms.get(arm, {})
        return weighted(run.config.rewards, found) if self.reward is None else found.get(self.reward)


def measures_of(config: SweepConfig, runs: Iterable[Run]) -> list[Measure]:
    """Every measure that a sweep's runs have, the gain of what is climbed first where there is one."""
    rewards = list(dict.fromkeys(name for run in runs for name in run.config.rewards))
    same = len({tuple(sorted((name, w) for name, w in run.config.rewards.items() if w)) for run in runs}) == 1
    titles = {name: REWARDS[name].title if name in REWARDS else name for name in rewards}
    # sums of different rewards are numbers of different things: without `same` there are none
    if config.kind is SEARCHES:
        return _of_searches(config.base["arms"], titles, same)
    return _of_fine_tunes(titles, same)


def _of_searches(arms: Sequence[str], titles: Mapping[str, str], same: bool) -> list[Measure]:
    listed: list[Measure] = []
    if same:
        listed += [Measure(f"gain:{arm}", f"Climbed reward, gain over {_words(arm)}", over=arm) for arm in arms]
        listed.append(Measure("reward", "Climbed reward"))
    for name, title in titles.items():
        listed += [Measure(f"{name}:{arm}", f"{title}, gain over {_words(arm)}", name, arm) for arm in arms]
        listed.append(Measure(name, title, name))
    costs = {"nfe": "Velocity evaluations", "seconds": "Seconds"}
    listed += [Measure(name, label, cost=name) for name, label in costs.items()]
    blind = [one for one in listed if one.over == BLIND]
    return [*blind, *(one for one in listed if one not in blind)]


def _of_fine_tunes(titles: Mapping[str, str], same: bool) -> list[Measure]:
    """On held-out prompts, of the averaged weights where there are such: gains over the model as it was, then what it
    came to, then what the training cost.
    """
    judged = ({"heldout": "Held-out reward"} if same else {}) | {"verifier": "Exactly right, held-out"}
    judged |= {name: f"{title}, held-out" for name, title in titles.items()} if len(titles) > 1 or not same else {}
    gains = [
        Measure(f"gain:{name}", f"{label}, gain over the base", name, BASE, of_arm=RESULT)
        for name, label in judged.items()
    ]
    reached = [Measure(name, label, name, of_arm=RESULT) for name, label in judged.items()]
    costs = {"nfe": "Velocity evaluations of the training", "seconds": "Seconds of the training"}
    return [*gains, *reached, *(Measure(name, label, cost=name) for name, label in costs.items())]


def _words(arm: str) -> str:
    return arm.replace("_", " ")


def cell_of(config: SweepConfig, values: Mapping[tuple[int, int], float]) -> dict[str, Any] | None:
    """The mean of numbers by (prompt, seed), with Student's 95% interval; None for none.

    Seeds of a prompt are not independent of each other, so the interval is over prompts, each with the mean of its
    seeds; of a single prompt it is over seeds.
    """
    if not values:
        return None
    by_prompt: dict[int, list[float]] = {}
    for (prompt, _), value in values.items():
        by_prompt.setdefault(prompt, []).append(value)
    over = "prompts" if len(config.prompts) > 1 else "seeds"
    independent = [fmean(one) for one in by_prompt.values()] if over == "prompts" else list(values.values())
    from core.experiment_stats import mean_interval  # scipy: when a sweep's cells are looked at

    found = mean_interval(independent)
    return asdict(found) | {"mean": math.fsum(values.values()) / len(values), "over": over, "runs": len(values)}


def cells(config: SweepConfig, runs: Sequence[Run], known: Mapping[str, Outcome], measure: Measure) -> list[Any]:
    """A measure's cells in the order of `config.cells`, None for one without a number."""
    found: dict[tuple[int, ...], dict[tuple[int, int], float]] = {}
    for run in runs:
        outcome = known.get(run.key)
        value = measure.of(run, outcome) if outcome is not None and outcome.state == "succeeded" else None
        if value is not None and math.isfinite(value):
            found.setdefault(run.cell, {})[run.prompt, run.seed] = value
    return [cell_of(config, found.get(cell, {})) for cell in config.cells()]
