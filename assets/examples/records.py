"""A lab's records in a notebook: open this file in an editor that knows cells, or run it as it is.

.venv/bin/python assets/examples/records.py DATA_FOLDER
"""

# %% Which folder
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the checkout, whose folders are the packages

from app.frames import (  # noqa: E402
    arms_frame,
    candidates_frame,
    epochs_frame,
    iterations_frame,
    records_frame,
    siblings_frame,
)

folder = sys.argv[1] if len(sys.argv) > 1 and Path(sys.argv[1]).is_dir() else "data"

# %% What there is, and with which settings
records = records_frame(folder, settings=True)
print(records[["id", "kind", "prompt", "preset", "reward", "nfe"]].head(10).to_string(index=False))
sessions = records[records["kind"] == "session"]

# %% What the searches gained over no search, as one look at how often and how much
arms = arms_frame(folder, sessions["id"])
climbed = [name for name in arms if name.startswith("reward ")]
outcome = arms.pivot(index="record", columns="arm", values=climbed[0]) if climbed else arms
if {"search", "no_search"} <= set(outcome):
    gain = outcome["search"] - outcome["no_search"]
    print(f"\n{climbed[0]}: gain over no search in {len(gain)} sessions")
    print(f"mean {gain.mean():+.3f}, better in {gain.gt(0).mean():.0%} of them")

# %% How a search proceeds: its candidates by iteration, and how far it has collapsed
candidates = candidates_frame(folder, sessions["id"])
by_iteration = candidates.groupby("iteration")["total"].agg(["count", "mean", "max"])
by_iteration["likeness"] = iterations_frame(folder, sessions["id"]).groupby("iteration")["cosine"].mean()
print("\n" + by_iteration.to_string())

# %% Does an early guess rank candidates? Spearman's rank correlation of guess and truth among siblings, by timestep
siblings = siblings_frame(folder)
if not siblings.empty:
    total = siblings[siblings["reward"] == "total"]
    place = ["estimate", "sigma", "record", "row"]
    ranks = total[place].join(total.groupby(place)[["guess", "truth"]].rank())
    agreement = ranks.groupby(place)[["guess", "truth"]].corr().xs("guess", level=-1)["truth"]
    print("\n" + agreement.groupby(["estimate", "sigma"]).median().unstack("estimate").to_string())

# %% Fine-tunes: held-out reward over epochs, a column a run
epochs = epochs_frame(folder)
if "heldout" in epochs:
    print("\n" + epochs.dropna(subset=["heldout"]).pivot(index="epoch", columns="record", values="heldout").to_string())
