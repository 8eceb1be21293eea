"""A lab's records in a notebook: open this file in an editor that knows cells, or run it as it is.

.venv/bin/python assets/examples/records.py DATA_FOLDER
"""

# %% Which folder
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the checkout, whose folders are the packages

import numpy as np  # noqa: E402

from app.frames import (  # noqa: E402
    arms_frame,
    candidates_frame,
    epochs_frame,
    iterations_frame,
    records_frame,
    siblings_frame,
)
from core.versus import FEWEST_SEEDS, versus  # noqa: E402

asked = sys.argv[1:] if Path(sys.argv[0]).name == "records.py" else []  # a notebook's kernel has arguments of its own
folder = asked[0] if asked else "data"


def shown(frame, **how):
    """A frame as text: three digits, no -0.000, and a dash where there is no number."""
    return frame.to_string(float_format="{:z.3f}".format, na_rep="-", **how)


# %% What there is, and with which settings
records = records_frame(folder, settings=True)
sessions = records[records["kind"] == "session"].set_index("id")
print(f"{len(records)} records; the newest (nfe: velocity evaluations; reward: where a search or a fine-tune ended)")
newest = records[["id", "kind", "prompt", "preset", "reward", "nfe"]].head(10)
print(shown(newest.astype({"reward": float, "nfe": "Int64"}), index=False))

# %% What the searches gained over no search, by what they climb: paired by prompt and seed, as `core.versus` compares
arms = arms_frame(folder, sessions.index)
named = [name for name in arms if name.startswith("reward ")]
weights = sessions.reindex(columns=[name.replace("reward ", "config.rewards.", 1) for name in named]).fillna(0)
weight = weights.loc[arms["record"]].to_numpy(float)
arms["climbed"] = np.where(weight != 0, weight * arms[named], 0).sum(axis=1)  # without the rewards only watched
outcome = arms.pivot(index="record", columns="arm", values="climbed").join(sessions)
if {"search", "no_search"} <= set(outcome):
    outcome["climbs"] = (weights != 0) @ (weights.columns.str.removeprefix("config.rewards.") + " ")
    print("\nGain of the searches over no search in what they climb")
    for (model, preset, climbs), own in outcome.groupby(["model", "preset", "climbs"]):
        pairs = own.groupby(["prompt", "config.seed"])[["search", "no_search"]].mean()
        told = versus(pairs["search"].to_dict(), pairs["no_search"].to_dict())
        if told is None:
            continue
        words = (
            f"no interval, fewer than {FEWEST_SEEDS} prompts or seeds" if told.pairs > 1 else "one sample, no verdict"
        )
        if told.over:
            words = f"95% interval {told.low:+z.3f} to {told.high:+z.3f} over {told.over}"
        print(f"  {preset} on {model}, {climbs.strip()}: {told.mean:+z.3f} (pairs: {told.pairs}; {words})")

# %% How a search proceeds: its candidates by iteration, and how far it has collapsed
candidates = candidates_frame(folder, sessions.index)
by_iteration = candidates.groupby("iteration")["total"].agg(["count", "mean", "max"])
by_iteration["likeness"] = iterations_frame(folder, sessions.index).groupby("iteration")["cosine"].mean()
print("\nCandidates by iteration, all searches and timesteps together: how many, the mean and highest reward of their")
print("guesses, and the likeness of siblings (mean cosine: 0 unrelated, 1 the same)")
print(shown(by_iteration))

# %% Does an early guess rank candidates? Spearman's rank correlation of guess and truth among siblings, by timestep
siblings = siblings_frame(folder)
if not siblings.empty:
    total = siblings[siblings["reward"] == "total"]
    place = ["estimate", "sigma", "record", "row"]
    ranks = total[place].join(total.groupby(place)[["guess", "truth"]].rank())
    agreement = ranks.groupby(place)[["guess", "truth"]].corr().xs("guess", level=-1)["truth"].dropna()
    by_sigma = agreement.groupby(["estimate", "sigma"]).median().unstack("estimate")
    by_sigma["rows"] = agreement.groupby(["estimate", "sigma"]).size().unstack("estimate").min(axis=1)
    print("\nRank correlation of guess and truth by estimate and noise level (1: both rank alike, 0: the guess tells")
    print("nothing): median over rows of siblings; page Reliability has its interval")
    print(shown(by_sigma))

# %% Fine-tunes: held-out reward over epochs, a column a run
epochs = epochs_frame(folder)
if "heldout" in epochs:
    judged = epochs.dropna(subset=["heldout"]).pivot(index="epoch", columns="record", values="heldout")
    print(
        "\nReward on held-out prompts by epoch, a column a fine-tune, a dash where it was not judged; page Train tells"
    )
    print("whether one rose or fell, with its interval")
    print(shown(judged))
