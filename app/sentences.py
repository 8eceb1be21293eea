"""A session's numbers in plain words: a sentence an iteration, one a step, and the charts' titles.

Pure functions of the view's rows, which hold None for what is not finite. They say only what the numbers show, and
nothing (None) where they show nothing. Rewards are compared within a step only: they drift from step to step.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.ui.form import ARM_LABELS
from core.search.null import Blind, blind

View = Mapping[str, Any]
Row = Mapping[str, Any]
Rows = Sequence[Row]
MINUS = "\u2212"
ALIKE = 0.05  # cosines nearer than this are called the same


def iteration_sentence(row: Row, first: Row | None = None) -> str | None:
    """What one iteration looks like; `first` is iteration 0 of the same step, where nothing was learned yet.

    "Iteration 3: candidates 75% alike, spread .07, mean reward +.12 since iteration 1."
    """
    parts = []
    if row["cosine"] is not None and _count(row) > 1:
        parts.append(f"candidates {_percent(row['cosine'])} alike")
    if (spread := row["std_quantiles"][2]) is not None:
        parts.append(f"spread {short(spread)}")
    if (reward := mean_reward(row)) is not None:
        began = None if first is None or not row["iteration"] else mean_reward(first)
        if began is None:
            parts.append(f"mean reward {short(reward)}")
        else:
            parts.append(f"mean reward {_change(reward - began)} since iteration 1")
    return f"Iteration {row['iteration'] + 1}: {', '.join(parts)}." if parts else None


def step_sentence(config: Mapping[str, Any], rows: Rows, taken: Row | None = None) -> str | None:
    """What a step's search came to: its rewards, how alike its candidates are, the noise that was used.

    `rows` are the step's iterations in order; `taken` its row in `steps`, once it is taken.
    """
    if not rows:
        return None
    means = [mean_reward(row) for row in rows]
    parts = []
    if len(rows) > 1 and means[0] is not None and means[-1] is not None:
        parts.append(f"the mean reward went from {short(means[0])} to {short(means[-1])}")
    last, theory = rows[-1], blind_of(config, rows)
    if len(rows) > 1 and last["cosine"] is not None and _count(last) > 1:
        alike = f"the candidates became {_percent(last['cosine'])} alike"
        parts.append(alike + (f", {_beside(last['cosine'], theory.cosine[last['iteration']])}" if theory else ""))
    if taken is not None and taken["noise_norm"]:
        parts.append(f"the noise that was used has {short(taken['noise_norm'])} of a real noise's size")
    if not parts:
        return None
    return f"{step_name(last['step'])}, {_plural(len(rows), 'iteration')}: {'; '.join(parts)}."


def step_name(step: int) -> str:
    """A step as it is shown; -1 is the search of the starting noise."""
    return "Starting noise" if step < 0 else f"Step {step + 1}"


def blind_of(config: Mapping[str, Any], rows: Rows) -> Blind | None:
    """The null theory for a step: with as many elites as were kept, and as the config says for what is to come.

    None for a search that is not the cross-entropy method.
    """
    search = config["search"]
    if search.get("algorithm", "cem") != "cem":
        return None
    planned = math.floor(search["elite_fraction"] * search["num_candidates"] + 1e-9)
    kept = {row["iteration"]: len(row["elites"]) for row in rows}
    return blind(tuple(kept.get(i, planned) for i in range(search["num_iterations"])), search["min_std"])


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of what is a number; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def mean_reward(row: Row) -> float | None:
    """An iteration's mean optimised reward, over the candidates that have one."""
    return row["mean"] if "mean" in row else mean(row["total"])


def optimised_title(config: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """What the optimised reward is called: its title, or that it is a sum."""
    climbed = [name for name, weight in config["rewards"].items() if weight]
    if len(climbed) == 1 and config["rewards"][climbed[0]] == 1:
        return titles.get(climbed[0], climbed[0])
    return "Weighted sum"


def arm_name(config: Mapping[str, Any], arm: str) -> str:
    """An arm as charts name it; a session that searched nothing, or blindly, is not called a search."""
    if arm != "search":
        return ARM_LABELS.get(arm, arm)
    search = config["search"]
    return "Noise search" if search["num_iterations"] and search["selection"] != "random" else "This session"


# Titles of charts


def reward_title(means: Sequence[float | None], what: str) -> str:
    """How a reward's mean moved over the iterations."""
    if not means or means[0] is None or means[-1] is None:
        return f"{what} by iteration"
    if len(means) == 1:
        return f"{what}: {short(means[0])} on average"
    change = means[-1] - means[0]
    told = _change(change)
    moved = "did not move" if told == "unchanged" else f"{'rose' if change > 0 else 'fell'} by {short(abs(change))}"
    return f"{what}: the mean {moved} in {_plural(len(means), 'iteration')}"


def norm_title(rows: Rows, taken: Row | None, theory: Blind | None) -> str:
    """How large the search mean, or the noise that was used, is."""
    last = rows[-1]
    if taken is not None:
        told = f"The noise that was used has {short(taken['noise_norm'])} of a real noise's size"
        return told + (f" (a blind mean: {short(theory.mean_norm[-1])})" if theory else "")
    told = f"The search mean has {short(last['mean_norm'] or 0)} of a real noise's size"
    return told + (f" (blind: {short(theory.mean_norm[last['iteration']])})" if theory else "")


def spread_title(rows: Rows, theory: Blind | None) -> str:
    """What is left of the spread."""
    last = rows[-1]
    if last["std_quantiles"][2] is None or len(rows) == 1:
        return "Spread of the candidates"
    told = f"The spread fell from 1 to {short(last['std_quantiles'][2])}"
    return told + (f" (blind: {short(theory.std_median[last['iteration']])})" if theory else "")


def cosine_title(rows: Rows, theory: Blind | None) -> str:
    """How alike the candidates became."""
    last = rows[-1]
    if last["cosine"] is None or _count(last) < 2:
        return "Likeness of the candidates"
    if len(rows) == 1:
        return f"The candidates are {_percent(last['cosine'])} alike"
    told = f"The candidates became {_percent(last['cosine'])} alike"
    return told + (f" (blind: {_percent(theory.cosine[last['iteration']])})" if theory else "")


def kurtosis_title(values: Sequence[float | None]) -> str:
    """Whether the candidates still look Gaussian."""
    if not values or values[-1] is None:
        return "Kurtosis of the candidates"
    return f"Kurtosis is {values[-1]:.1f}, a real noise has 3"


def noise_title(view: View, step: int) -> str:
    """What the selected step adds and leaves."""
    if not 0 <= step < len(view["step_std"]):
        return "Noise that each step adds and leaves"
    added, left = view["step_std"][step], view["excess_std"][step]
    return f"Step {step + 1} adds {short(added)} and leaves {short(left)} more noise than expected next"


def trail_title(view: View) -> str:
    """Where the session's own arm ended among the others, or where it is."""
    arms = {arm["arm"]: weighted_arm(view, arm) for arm in view["arms"]}
    own, name = arms.get("search"), arm_name(view["config"], "search")
    others = [value for arm, value in arms.items() if arm != "search" and value is not None]
    if own is None or not others:
        return "Reward of the guess after each step"
    above = sum(own > value for value in others)
    return f"{name} ends at {short(own)}, above {above} of {_plural(len(others), 'other')}"


def cost_title(spent: Rows) -> str:
    """What the search has spent."""
    if not spent:
        return "What the search spends"
    last = spent[-1]
    return f"The search took {last['nfe']:,} evaluations, {last['decodes']:,} pictures, {last['seconds']:.1f} s"


def weighted_arm(view: View, arm: Row) -> float | None:
    """An arm's optimised reward; None where a part of it is not a number."""
    parts = [(weight, arm["rewards"].get(name)) for name, weight in view["config"]["rewards"].items() if weight]
    return None if any(value is None for _, value in parts) else sum(weight * value for weight, value in parts)


def spending(view: View) -> list[Row]:
    """The rows that say what had been spent, in the order in which they came: a step after its iterations."""
    rows = [row for row in (*view["iterations"], *view["steps"]) if row.get("seconds") is not None]
    return sorted(rows, key=lambda row: (row["step"], row.get("iteration", math.inf)))


# Numbers


def short(value: float) -> str:
    """Two places, more for a small value, fewer for a large one; no zero before the point; a true minus."""
    size = abs(value)
    places = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.0095 or not size else 3
    text = f"{size:.{places}f}"
    sign = MINUS if value < 0 and float(text) else ""
    return sign + (text[1:] if text.startswith("0.") else text)


def _change(value: float) -> str:
    told = short(abs(value))
    if not float(told):
        return "unchanged"
    return ("+" if value > 0 else MINUS) + told


def _percent(cosine: float) -> str:
    return f"{max(0, round(100 * cosine))}%"


def _beside(cosine: float, theory: float) -> str:
    """A likeness beside a blind search's."""
    return (
        "as a blind search's would" if abs(cosine - theory) < ALIKE else f"a blind search's would be {_percent(theory)}"
    )


def _plural(count: int, one: str) -> str:
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def _count(row: Row) -> int:
    return row["num_candidates"] if "num_candidates" in row else len(row["total"])
