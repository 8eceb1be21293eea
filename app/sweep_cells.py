"""What a sweep's cells come to: a measure of each run, and over prompts and seeds its mean with an interval."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from app.sweep_config import Run, SweepConfig
from core.rewards.registry import REWARDS
from storage.sweeps import Outcome
from storage.values import weighted

BLIND = "no_search"


@dataclass(frozen=True)
class Measure:
    """One number a run: `reward` of the search's picture, or with `over` what that is above another arm's.

    None for the sum that is climbed; `cost` is nfe or seconds, of the whole session.
    """

    name: str
    label: str
    reward: str | None = None
    over: str | None = None
    cost: str | None = None

    def of(self, run: Run, outcome: Outcome) -> float | None:
        """The number; None where the run has none."""
        if self.cost:
            return float(getattr(outcome, self.cost))
        own = self._scored(run, outcome, "search")
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
    arms = list(config.base.arms)
    same = len({tuple(sorted((name, w) for name, w in run.config.rewards.items() if w)) for run in runs}) == 1
    listed: list[Measure] = []
    if same:  # sums of different rewards are numbers of different things
        listed += [Measure(f"gain:{arm}", f"Climbed reward, gain over {_words(arm)}", over=arm) for arm in arms]
        listed.append(Measure("reward", "Climbed reward"))
    for name in rewards:
        title = REWARDS[name].title if name in REWARDS else name
        listed += [Measure(f"{name}:{arm}", f"{title}, gain over {_words(arm)}", name, arm) for arm in arms]
        listed.append(Measure(name, title, name))
    costs = {"nfe": "Velocity evaluations", "seconds": "Seconds"}
    listed += [Measure(name, label, cost=name) for name, label in costs.items()]
    blind = [one for one in listed if one.over == BLIND]
    return [*blind, *(one for one in listed if one not in blind)]


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
        outcome = known.get(run.hash)
        value = measure.of(run, outcome) if outcome is not None and outcome.state == "succeeded" else None
        if value is not None and math.isfinite(value):
            found.setdefault(run.cell, {})[run.prompt, run.seed] = value
    return [cell_of(config, found.get(cell, {})) for cell in config.cells()]
