"""What a measurement shows: curves, gains, the window where a search can be recommended, and a sentence. No torch.

Pure functions over `app.measured.Measured`, with plain JSON values out (None where a figure cannot be computed).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from app.measured import Array, Measured
from app.progress import nfe_per_velocity
from app.sentences import short
from core import plan
from core.config import PRESETS, to_dict
from core.errors import ConfigError
from core.measure_config import Estimate, MeasureConfig
from core.reliability import FEWEST_PROMPTS, Reliability, Timestep, analyse, mean_interval, ranks, window
from storage.engine import Database
from storage.values import number

DRAW = 5  # searches are judged as if they saw so many candidates: as many as the presets draw
HACKING_MODE = "best"  # a real noise: its gain is the choice's alone, not that of a noise of another size
WIDE = 0.5  # an interval wider than this says nothing about a correlation


def findings(found: Measured) -> dict[str, Any]:
    """Everything a page shows of the finished rows."""
    config = found.config
    analyses = _analyses(found)
    advised = _window(found, analyses)
    return {
        "curves": {
            name: {
                "own": _timesteps(found, analyses[name, config.optimised], name),
                "held_out": {reward: _timesteps(found, analyses[name, reward], name) for reward in config.held_out},
            }
            for name in config.estimates
        },
        "proxies": {
            reward: _timesteps(
                found,
                analyses[config.primary, reward]
                if reward == config.optimised
                else analyse_pair(found, config.primary, reward, reward),
                config.primary,
            )
            for reward in config.base.rewards
        },
        "between": between_seeds(found),
        "realised": realised(found),
        "hacking": hacking(found),
        "averaging": averaging(found),
        "window": advised,
        "few_prompts": len(np.unique(found.prompts)) < FEWEST_PROMPTS,
        "sentence": sentence(found, analyses[config.primary, config.optimised], advised),
    }


def headline_of(database: Database, record_id: str) -> dict[str, Any]:
    """What lists say of a finished measurement: its best median rank correlation and its recommended window."""
    from app.measured import read_measured

    found = read_measured(database, record_id)
    if found is None:
        return {"rho": None, "window": None}
    primary, config = found.config.primary, found.config
    names = (config.optimised, *config.held_out[:1])
    analyses: dict[tuple[str, str], Reliability] = {
        (primary, name): analyse_pair(found, primary, config.optimised, name) for name in names
    }
    best = [one.spearman_median for one in _told(found, analyses[primary, config.optimised])]
    advised = _window(found, analyses)
    return {
        "rho": number(max((value for value in best if math.isfinite(value)), default=math.nan)),
        "window": [advised["low"], advised["high"]] if advised else None,
    }


def analyse_pair(found: Measured, estimate: str, proxy: str, truth: str) -> Reliability:
    """An estimate of one reward against the truth of another, within siblings."""
    draw, elites = _draw(found)
    return analyse(
        found.proxy[estimate][proxy],
        found.truth[truth],
        sigmas=found.sigmas,
        num_elites=elites,
        draw=draw,
        prompts=found.prompts.tolist(),
    )


def _draw(found: Measured) -> tuple[int, int]:
    """Candidates that a search sees and keeps: the presets' number, as far as so many were measured."""
    draw = min(DRAW, found.config.num_siblings)
    return draw, min(found.config.num_elites, draw)


def _analyses(found: Measured) -> dict[tuple[str, str], Reliability]:
    """By estimate and the reward whose truth is predicted: the optimised one, then those that were only watched."""
    config = found.config
    return {
        (name, reward): analyse_pair(found, name, config.optimised, reward)
        for name in config.estimates
        for reward in (config.optimised, *config.held_out)
    }


def _timesteps(found: Measured, analysis: Reliability, estimate: Estimate) -> list[dict[str, Any]]:
    """A row a timestep: its statistics, its place, a candidate's cost and the estimate's mean distances."""
    rows = analysis.to_json()["timesteps"]
    return [
        row
        | {"step": step, "nfe": float(found.nfe[estimate][index])}
        | {
            name: number(_mean(getattr(found, name)[estimate][:, :, index]))
            for name in ("latent_distance", "pixel_distance")
        }
        | {"trivial": index >= found.telling(estimate)}
        for index, (row, step) in enumerate(zip(rows, found.steps, strict=True))
    ]


def between_seeds(found: Measured) -> list[dict[str, Any]]:
    """The other quantity: guesses along whole trajectories against where these end, among a prompt's seeds.

    Empty with one seed, and before a prompt has all of its seeds.
    """
    seeds = len(found.config.seeds)
    whole = [prompt for prompt in np.unique(found.prompts) if (found.prompts == prompt).sum() == seeds]
    if seeds < 2 or not whole:
        return []
    reward = found.config.optimised
    proxy = np.stack([found.walked[reward][found.prompts == prompt] for prompt in whole])
    truth = np.stack([found.ended[reward][found.prompts == prompt] for prompt in whole])
    elites = min(found.config.num_elites, seeds)
    rows = analyse(proxy, truth, sigmas=found.sigmas, num_elites=elites).to_json()["timesteps"]
    return [row | {"step": step} for row, step in zip(rows, found.steps, strict=True)]


def realised(found: Measured) -> list[dict[str, Any]]:
    """What a search of one iteration returns, over a random sibling, by step, result mode and reward."""
    rows = []
    for mode, by_reward in found.returned.get(found.config.primary, {}).items():
        for reward in (found.config.optimised, *found.config.held_out):
            gains = by_reward[reward] - _siblings_mean(found.truth[reward])
            for index, step in enumerate(found.steps):
                gain = dict(zip(("gain", "low", "high"), _interval(gains[:, index], found), strict=True))
                rows.append({"step": step, "sigma": found.sigmas[index], "mode": mode, "reward": reward} | gain)
    return rows


def hacking(found: Measured) -> list[dict[str, Any]]:
    """How much more a search gains on the reward it climbs than on the first one it does not see.

    Both in units of their own spread among siblings, for rewards have different scales. Empty where none is held out.
    """
    config = found.config
    returned = found.returned.get(config.primary, {}).get(HACKING_MODE)
    if returned is None or not config.held_out:
        return []
    own, other = (_in_spreads(found, returned, name) for name in (config.optimised, config.held_out[0]))
    told = ("gap", "low", "high")
    return [
        {"step": step, "sigma": found.sigmas[index], "mode": HACKING_MODE, "reward": config.held_out[0]}
        | dict(zip(told, _interval(own[:, index] - other[:, index], found), strict=True))
        for index, step in enumerate(found.steps)
    ]


def _in_spreads(found: Measured, returned: Mapping[str, Array], reward: str) -> Array:
    """Realised gains (P, S) over the spread of the truth at each step; NaN where nothing differs."""
    truth = found.truth[reward]
    means = _siblings_mean(truth)
    # As sigma_R: the root of the mean variance of those rows that have one.
    count = np.isfinite(truth).sum(axis=1)
    variance = _siblings_mean(np.square(truth - means[:, None])) * count / np.where(count > 1, count - 1, np.nan)
    spread = np.sqrt([_mean(variance[:, index]) for index in range(truth.shape[2])])
    return (returned[reward] - means) / np.where(spread > 0, spread, np.nan)


def _siblings_mean(values: Array) -> Array:
    """(P, K, S) to (P, S): the mean of what is finite, NaN where nothing is."""
    finite = np.isfinite(values)
    count = finite.sum(axis=1)
    return np.where(finite, values, 0.0).sum(axis=1) / np.where(count, count, np.nan)


def averaging(found: Measured) -> list[dict[str, Any]]:
    """The averaging test: the guessed total of the elites' mean noise, and the mean of the elites' own."""
    primary = found.config.primary
    if primary not in found.averaged:
        return []
    ours, theirs = found.averaged[primary], found.elite_mean[primary]
    return [
        {"step": step, "sigma": found.sigmas[index]}
        | {"averaged": number(_mean(ours[:, index])), "elite_mean": number(_mean(theirs[:, index]))}
        | dict(zip(("gap", "low", "high"), _interval(ours[:, index] - theirs[:, index], found), strict=True))
        for index, step in enumerate(found.steps)
    ]


def _window(found: Measured, analyses: Mapping[tuple[str, str], Reliability]) -> dict[str, Any] | None:
    """Where a search is recommended: {low, high, steps, gain}, with the highest expected gain in it.

    Where nothing is held out, without that condition. Too few prompts for an interval recommend nothing.
    """
    config = found.config
    own, held = (
        replace(analyses[config.primary, name], timesteps=_told(found, analyses[config.primary, name]))
        for name in (config.optimised, (config.held_out or (config.optimised,))[0])
    )
    advised = window(own, held) if own.timesteps else None
    if advised is None:
        return None
    low, high = advised
    steps = [step for step, sigma in zip(found.steps, found.sigmas, strict=True) if low <= sigma <= high]
    gain = max(one.expected_gain for one in own.timesteps if one.sigma is not None and low <= one.sigma <= high)
    return {"low": low, "high": high, "steps": steps, "gain": gain}


def _told(found: Measured, analysis: Reliability) -> tuple[Timestep, ...]:
    """The timesteps that say something of the primary estimate."""
    return analysis.timesteps[: found.telling(found.config.primary)]


def explore_config(config: MeasureConfig, advised: Mapping[str, Any] | None, sigmas: Sequence[float]) -> Any:
    """The settings of a session that searches in the recommended window at the same cost; None where there is none."""
    if advised is None or len(sigmas) < 2:
        return None
    reading = "smart-grpo-sde" if config.primary != "literal" else "smart-grpo"
    session = replace(config.base, prompt=config.prompts[0], seed=config.seeds[0], search=PRESETS[reading])
    # Rounded outwards, so that a form may show it without losing a step.
    bounds = (math.floor(advised["low"] * 1e4) / 1e4, min(1.0, math.ceil(advised["high"] * 1e4) / 1e4))
    own = [sigma / (config.start_sigma or 1.0) for sigma in sigmas]
    try:
        return to_dict(plan.gated(session, bounds, own, nfe_per_velocity(session)))
    except ConfigError:
        return None  # too wide to be searched at the same cost, or between two of the session's own levels


def sentence(found: Measured, own: Reliability, advised: Mapping[str, Any] | None) -> str:
    """What is seen, from the numbers; nothing where the intervals are too wide to say it."""
    told = _told(found, own)
    sure = [one for one in told if one.spearman_high - one.spearman_low <= WIDE]
    if not sure or len(sure) < len(told) / 2:
        return ""
    parts = []
    blank = [i for i, one in enumerate(told) if one in sure and not has_signal(one)]
    clear = [i for i, one in enumerate(told) if has_signal(one)]
    if blank and (not clear or blank[0] < clear[0]):
        upto = [i for i in blank if not clear or i < clear[0]][-1]
        chance = "the guess's reward ranks siblings no better than chance"
        parts.append(f"Up to {_place(found, upto)} {chance}" if upto else f"At {_place(found, upto)} {chance}")
    if clear:
        best = max(clear, key=lambda i: told[i].expected_gain)
        one = told[best]
        interval = f"{short(one.spearman_median)} [{short(one.spearman_low)}, {short(one.spearman_high)}]"
        parts.append(f"the most is to be gained at {_place(found, best)}, where the rank correlation is {interval}")
    parts.append(
        f"a search is recommended where σ is from {short(advised['low'])} to {short(advised['high'])}"
        if advised
        else "no timestep can be recommended for a search"
    )
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _place(found: Measured, index: int) -> str:
    return f"step {found.steps[index] + 1} (σ {short(found.sigmas[index])})"


def has_signal(one: Timestep) -> bool:
    """Whether the proxy ranks siblings better than chance."""
    return one.spearman_low > one.null_high


def signals(found: Measured, reward: str) -> dict[int, str]:
    """By step whether a reward's guess carries a "signal" or "none"; steps of which too little is known are left out.

    A reward that is the same for all siblings carries none.
    """
    told: dict[int, str] = {}
    analysis = analyse_pair(found, found.config.primary, reward, reward)
    told |= {step: "signal" for step in found.steps if found.config.is_trivial(found.config.primary, step)}
    for step, one in zip(found.steps, _told(found, analysis), strict=False):
        if has_signal(one):
            told[step] = "signal"
        elif one.rows >= FEWEST_PROMPTS and (one.constant_rows == one.rows or _narrow(one)):
            told[step] = "none"
    return told


def _narrow(one: Timestep) -> bool:
    return one.spearman_high - one.spearman_low <= WIDE


def points(found: Measured, step: int, estimate: str, proxy: str, truth: str) -> list[dict[str, Any]]:
    """Every sibling of a step: its guess, its truth, and by how many of the other siblings they are ranked apart."""
    index = found.steps.index(step)
    rows = []
    for place, row in enumerate(found.rows):
        a, b = found.proxy[estimate][proxy][place, :, index], found.truth[truth][place, :, index]
        finite = np.isfinite(a) & np.isfinite(b)
        apart = np.full(len(a), math.nan)
        if finite.sum() > 1:
            apart[finite] = np.abs(ranks(a[finite]) - ranks(b[finite])) / (finite.sum() - 1)
        rows += [
            {"row": row, "sibling": k, "proxy": number(a[k]), "truth": number(b[k]), "surprise": number(apart[k])}
            for k in range(len(a))
        ]
    return rows


def _interval(values: Array, found: Measured) -> tuple[float | None, ...]:
    return tuple(number(value) for value in mean_interval(values, found.prompts))


def _mean(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan
