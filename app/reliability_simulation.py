"""Selection strategies compared on a stored measurement: what a page or a command line shows of `core.simulate`."""

from typing import Any

import numpy as np

from app.measured import Array, Measured
from core.errors import LabError
from core.simulate import Strategy, simulate
from storage.values import number


def simulated(found: Measured, step: int, draw: int, truth: str) -> dict[str, Any]:
    """What each strategy gains in the truth of a reward over a blind pick, searches seeing `draw` candidates.

    They choose by the optimised reward's guess. Rows in which a truth is not finite are left out and counted.
    """
    index = found.steps.index(step)
    truths = found.truth[truth][:, :, index]
    whole = np.isfinite(truths).all(axis=1)
    if not whole.any():
        raise LabError(f"no row has a finite {truth} for every sibling of this step")
    own: dict[str, Array] = {
        name: found.proxy[name][found.config.optimised][whole][:, :, index] for name in found.config.estimates
    }
    own["oracle"] = truths[whole]
    nfe: dict[str, float] = {name: float(found.nfe[name][index]) for name in found.config.estimates}
    nfe["oracle"] = float(found.nfe["truth"][index])
    outcomes = simulate(strategies(found, draw), own, truths[whole], nfe)
    told = [
        {"name": one.strategy.name, "nfe": number(one.nfe)}
        | {name: number(getattr(one, name)) for name in ("gain", "low", "high")}
        for one in outcomes
    ]
    return {"step": step, "draw": draw, "truth": truth, "rows": int(whole.sum()), "outcomes": told}


def strategies(found: Measured, draw: int) -> list[Strategy]:
    """Blind, best by each measured estimate, the elites' mean truth, a second look at the best few, and the oracle."""
    config = found.config
    few = max(2, min(config.num_elites, draw))
    listed = [Strategy("blind", 1)]
    listed += [Strategy(f"best of {draw}, {name}", draw, estimate=name) for name in config.estimates]
    if config.primary in ("literal", "sde"):
        listed.append(Strategy(f"elites of {draw}, {config.primary}", draw, keep=few, estimate=config.primary))
    second = next((name for name in ("5-step", "3-step", "2-step", "heun") if name in config.estimates), None)
    if second is not None and config.primary != second:
        name = f"best {few} of {draw} by {config.primary}, then {second}"
        listed.append(Strategy(name, draw, keep=few, estimate=config.primary, then=second))
    listed.append(Strategy(f"best of {draw}, whole way", draw, estimate="oracle"))
    return listed
