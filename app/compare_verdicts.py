"""Which of several records is better, where that can be said: paired over what they and others like them share.

A record stands for its family: everything finished in the lab that ran with the same settings and differs in prompt and
seed alone. Two families are paired where both had the same prompt and seed (fine-tunes: the same seed, or the same
held-out prompt of two runs). One shared sample gives no verdict. No torch.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.compare_settings import families, family
from app.compare_words import Family, Verdict, beside, one_family, verdict
from core.reliability import spearman
from core.versus import Key, Versus, versus
from storage import kin, runs

LOOKED_THROUGH = 2_000  # the newest sessions of a preset among which others with the same settings are looked for
LOOKED_THROUGH_RUNS = 100
ONE_RUN = "Sample sheets compare one run of each: over prompts, they say nothing of another seed."
TRAINED = {"heldout": "Held-out reward", "verifier": "Exactly right"}


def of_sessions(tx: Session, sides: Mapping[str, sa.Row]) -> tuple[list[Verdict], list[str]]:
    """Verdicts on what searches led to, a row a pair of families and a reward of both; and what is said beside them."""
    configs = {letter: row.config for letter, row in sides.items()}
    groups = families("session", configs)
    if len(groups) < 2:
        return [], one_family(groups)
    known: dict[tuple[str, str], list[sa.Row]] = {}
    found = [_session_family(tx, letters, sides, known) for letters in groups]
    climbed = {letters[0]: configs[letters[0]]["rewards"] for letters in groups}
    verdicts = []
    for one, other in combinations(found, 2):
        shared = [name for name in one.values if name in other.values]
        verdicts += [
            verdict(one, other, versus(one.values[name], other.values[name]), name, _about(climbed, one, other, name))
            for name in shared
        ]
    return verdicts, beside(verdicts, "prompts and seeds")


def _session_family(
    tx: Session, letters: Sequence[str], sides: Mapping[str, sa.Row], known: dict[tuple[str, str], list[sa.Row]]
) -> Family:
    like = sides[letters[0]]
    if (like.preset, like.model) not in known:
        known[like.preset, like.model] = kin.finished_alike(tx, like, LOOKED_THROUGH)
    wanted = family("session", like.config)
    alike = [row for row in known[like.preset, like.model] if family("session", row.config) == wanted]
    own = [sides[letter] for letter in letters]
    rewards = kin.outcomes(tx, [row.id for row in (*alike, *own)])
    values: dict[str, dict[Key, float]] = {}
    # the records that are compared come last: where others had the same prompt and seed, theirs are the numbers
    for row in (*reversed(alike), *own):
        for name in row.config["rewards"]:
            if name in rewards.get(row.id, {}):
                values.setdefault(name, {})[row.config["prompt"], row.config["seed"]] = rewards[row.id][name]
    spent = [rewards[row.id]["nfe"] for row in own if "nfe" in rewards.get(row.id, {})]
    return Family(tuple(letters), values, sum(spent) / len(spent) if spent else None)


def _about(climbed: Mapping[str, Mapping[str, float]], one: Family, other: Family, name: str) -> str:
    """Which of two climbed a reward, and what their searches cost where that is not the same."""
    by = [side.name for side in (one, other) if climbed[side.letters[0]].get(name)]
    word = "climbed" if len(by) == 2 else f"climbed by {by[0]} alone" if by else "watched"
    if one.nfe is None or other.nfe is None or one.nfe == other.nfe:
        return word
    return f"{word}, for {one.nfe:,.0f} and {other.nfe:,.0f} evaluations"


def of_runs(
    tx: Session, sides: Mapping[str, Mapping[str, Any]], rows: Mapping[str, sa.Row]
) -> tuple[list[Verdict], list[str]]:
    """Verdicts on fine-tunes: over seeds at equal cost, and over the prompts of the sample sheets of two runs."""
    groups = families("train", {letter: side["config"] for letter, side in sides.items()})
    if len(groups) < 2:
        return [], one_family(groups)
    curves = {letters[0]: _curves(tx, rows, letters) for letters in groups}
    verdicts = []
    for one, other in combinations(groups, 2):
        verdicts += _over_seeds(one, other, curves, sides)
        verdicts += _over_samples(one, other, sides)
    samples = any(one["measure"] == "samples" for one in verdicts)
    return verdicts, beside(verdicts, "seeds") + ([ONE_RUN] if samples else [])


def _curves(tx: Session, rows: Mapping[str, sa.Row], letters: Sequence[str]) -> dict[int, list[dict[str, Any]]]:
    """The epochs of a family's runs by seed: those that are compared, and finished ones with the same settings."""
    like = rows[letters[0]]
    wanted = family("train", like.config)
    alike = [row for row in kin.finished_alike(tx, like, LOOKED_THROUGH_RUNS) if family("train", row.config) == wanted]
    by_seed = {row.config["seed"]: row.id for row in (*reversed(alike), *(rows[letter] for letter in letters))}
    return {
        seed: [
            {"epoch": one.epoch, "nfe": one.nfe, "seconds": one.seconds, "metrics": one.metrics}
            for one in runs.epochs_of(tx, record_id)
        ]
        for seed, record_id in by_seed.items()
    }


def _over_seeds(
    one: Sequence[str], other: Sequence[str], curves: Mapping[str, Any], sides: Mapping[str, Any]
) -> list[Verdict]:
    """What is better at the same epoch and at the same evaluations, paired by seed: Student's t for so few."""
    from core.experiment_results import contrast  # scipy: when fine-tunes are compared

    found = []
    for measure, title in TRAINED.items():
        if (
            measure == "heldout"
            and len({str(sorted(sides[side[0]]["config"]["rewards"].items())) for side in (one, other)}) > 1
        ):
            continue  # sums with different weights
        first, second = curves[one[0]], curves[other[0]]
        name = _shared_metric(measure, (*first.values(), *second.values()))
        for axis, words in (("epoch", "after {:,.0f} epochs"), ("nfe", "at {:,.0f} evaluations")):
            told = contrast(first, second, name, axis) if name else None
            if told is None:
                continue
            difference, pairs = told["difference"], told["difference"]["seeds"]
            means = (told["value"]["mean"], told["against"]["mean"], difference["mean"])
            compared = Versus(*means, difference["low"], difference["high"], pairs, 1, None if pairs < 2 else "seeds")
            at = words.format(told["budget"])
            found.append(
                verdict(Family(tuple(one), {}), Family(tuple(other), {}), compared, measure, at, title, "seed")
            )
    return found


def _shared_metric(measure: str, all_curves: Iterable[Sequence[Mapping[str, Any]]]) -> str | None:
    """The averaged weights' metric where every run has it, else the trained weights' where every run has that."""
    every = list(all_curves)
    for name in (f"{measure}_ema", measure):
        if every and all(any(one["metrics"].get(name) is not None for one in curve) for curve in every):
            return name
    return None


def _over_samples(one: Sequence[str], other: Sequence[str], sides: Mapping[str, Any]) -> list[Verdict]:
    """Two runs on the prompts of their sample sheets, at the last epoch that both have: the noise is the same there."""
    first, second = sides[one[0]], sides[other[0]]
    if first["config"]["rewards"] != second["config"]["rewards"]:
        return []
    sheets = [
        {(sheet["epoch"], sheet["ema"]): sheet["rewards"] for sheet in side["samples"]} for side in (first, second)
    ]
    shared = sorted(sheets[0].keys() & sheets[1].keys())
    if not shared or shared[-1][0] == 0:
        return []
    values = [
        {
            (prompt, 0): reward
            for prompt, reward in zip(side["prompts"], sheet[shared[-1]], strict=False)
            if reward is not None
        }
        for side, sheet in zip((first, second), sheets, strict=True)
    ]
    about = f"on the sample sheets of epoch {shared[-1][0]}"
    families_of = (Family((one[0],), {}), Family((other[0],), {}))
    return [verdict(*families_of, versus(*values), "samples", about, "Trained reward", "prompt")]


def of_measurements(found: Mapping[str, Any]) -> tuple[list[Verdict], list[str]]:
    """Verdicts on how well guesses rank siblings, by estimate: `found` are `app.measured.Measured` by letter.

    A value is a row's mean rank correlation over the noise levels that both measured and where it says something.
    """
    verdicts = []
    for (letter, one), (against, other) in combinations(found.items(), 2):
        if one.config.optimised != other.config.optimised:
            continue
        for estimate in (name for name in one.config.estimates if name in other.config.estimates):
            shared = _shared_sigmas(one, other, estimate)
            values = [_correlations(side, estimate, shared) for side in (one, other)]
            sides = Family((letter,), {}), Family((against,), {})
            about = f"{estimate}, {len(shared)} noise levels"
            verdicts.append(verdict(*sides, versus(*values), estimate, about, "Rank correlation"))
    return verdicts, beside(verdicts, "prompts and seeds")


def _shared_sigmas(one: Any, other: Any, estimate: str) -> set[float]:
    levels = [{round(sigma, 6) for sigma in side.sigmas[: side.telling(estimate)]} for side in (one, other)]
    return levels[0] & levels[1]


def _correlations(found: Any, estimate: str, shared: set[float]) -> dict[Key, float]:
    """By (prompt, seed): the mean over shared noise levels of Spearman's correlation within siblings."""
    places = [index for index, sigma in enumerate(found.sigmas) if round(sigma, 6) in shared]
    proxy, truth, pairs = (
        found.proxy[estimate][found.config.optimised],
        found.truth[found.config.optimised],
        found.config.pairs,
    )
    values: dict[Key, float] = {}
    for index, row in enumerate(found.rows):
        rhos = [_rho(proxy[index, :, place], truth[index, :, place]) for place in places]
        known = [rho for rho in rhos if np.isfinite(rho)]
        if known:
            values[pairs[row]] = float(np.mean(known))
    return values


def _rho(proxy: np.ndarray, truth: np.ndarray) -> float:
    both = np.isfinite(proxy) & np.isfinite(truth)
    return spearman(proxy[both], truth[both]) if both.sum() > 2 else float("nan")
