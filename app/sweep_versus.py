"""Two sweeps over the same axes, cell by cell: what one's runs are above the other's on the same prompt and seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.sweep_cells import Measure, measures_of
from app.sweep_config import Run, SweepConfig
from core.errors import LabError
from core.versus import versus
from storage.sweeps import Outcome

DRAWN_AGAIN = 2_000  # a map has many cells, of many measures
Place = tuple[tuple[int, ...], str, int]  # cell, prompt, seed


@dataclass(frozen=True)
class Side:
    """A sweep with what is known of its runs."""

    config: SweepConfig
    runs: Sequence[Run]
    known: Mapping[str, Outcome]

    def outcomes(self) -> dict[Place, tuple[Run, Outcome]]:
        """Those that have finished, by their place."""
        found = {}
        for run in self.runs:
            outcome = self.known.get(run.key)
            if outcome is not None and outcome.state == "succeeded":
                found[self.place(run)] = run, outcome
        return found

    def place(self, run: Run) -> Place:
        """Where a run stands; of fine-tunes there is no prompt."""
        return run.cell, self.config.prompts[run.prompt] if self.config.prompts else "", run.seed


def alike(one: SweepConfig, other: SweepConfig) -> bool:
    """Whether two have the same cells: of the same kind, and with the same axes."""
    return one.kind is other.kind and one.axes == other.axes


def less(one: Side, other: Side) -> dict[str, Any]:
    """`measures` that both have, as a view has them, of `one - other`: `cells` with paired bootstrap intervals, and
    `values` a run of `one`. `records` are the other's, a run of `one`. Raises LabError for sweeps that are not alike.
    """
    if not alike(one.config, other.config):
        raise LabError("expected a sweep of the same kind, with the same values of the same settings")
    mine, theirs = one.outcomes(), other.outcomes()
    named = {measure.name: measure for measure in measures_of(other.config, other.runs)}
    shared = [(each, named[each.name]) for each in measures_of(one.config, one.runs) if each.name in named]
    records = [theirs[place][1].record_id if (place := one.place(run)) in theirs else None for run in one.runs]
    return {"measures": [_measure(one, *pair, mine, theirs) for pair in shared], "records": records}


def _measure(
    one: Side, measure: Measure, against: Measure, mine: Mapping[Place, Any], theirs: Mapping[Place, Any]
) -> dict[str, Any]:
    values = _values(measure, mine), _values(against, theirs)
    about = {"name": measure.name, "label": measure.label, "signed": True, "cost": measure.cost, "paired": True}
    return about | {
        "cells": [_cell(cell, *values) for cell in one.config.cells()],
        "values": [_minus(place, *values) for place in map(one.place, one.runs)],
    }


def _values(measure: Measure, found: Mapping[Place, tuple[Run, Outcome]]) -> dict[Place, float]:
    told = {place: measure.of(run, outcome) for place, (run, outcome) in found.items()}
    return {place: value for place, value in told.items() if value is not None}


def _minus(place: Place, mine: Mapping[Place, float], theirs: Mapping[Place, float]) -> float | None:
    return mine[place] - theirs[place] if place in mine and place in theirs else None


def _cell(cell: tuple[int, ...], mine: Mapping[Place, float], theirs: Mapping[Place, float]) -> dict[str, Any] | None:
    """A cell as a map draws it; None where the two share no prompt and seed."""
    sides = ({(prompt, seed): value for (at, prompt, seed), value in of.items() if at == cell} for of in (mine, theirs))
    found = versus(*sides, num_bootstrap=DRAWN_AGAIN)
    if found is None:
        return None
    count = found.prompts if found.over == "prompts" else found.pairs
    told = {"mean": found.mean, "low": found.low, "high": found.high, "count": count}
    return told | {"over": found.over or "seeds", "runs": found.pairs}
