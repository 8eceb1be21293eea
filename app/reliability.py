"""`reliability`: the statistics of arrays that come from elsewhere, as a table or as JSON."""

import json
import math
import sys
import zipfile
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from core.errors import ConfigError
from core.reliability import FEWEST_PROMPTS, Reliability, analyse

NAMES = ("proxy", "truth", "sigmas", "prompts")
COLUMNS = (
    ("sigma", "sigma", 6),
    ("Spearman", "spearman_median", 9),
    ("low", "spearman_low", 7),
    ("high", "spearman_high", 7),
    ("Kendall", "kendall_median", 8),
    ("top-1", "top1", 6),
    ("recall", "elite_recall", 7),
    ("efficiency", "selection_efficiency", 11),
    ("sigma_R", "truth_std", 8),
    ("gain", "expected_gain", 7),
    ("bias", "bias", 7),
)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file: proxy and truth, perhaps sigmas and prompts. Raises ConfigError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: np.asarray(file[name]) for name in NAMES if name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise ConfigError({"from-array": f"expected an .npz file of plain numbers, got {path}: {error}"}) from error
    missing = [name for name in ("proxy", "truth") if name not in found]
    if missing:
        raise ConfigError({"from-array": f"expected arrays named proxy and truth, got none named {missing[0]}"})
    for name, values in found.items():
        if values.dtype.kind not in "fiub":
            raise ConfigError({"from-array": f"{name} is expected to hold numbers, got {values.dtype}"})
    return found


def reliability(
    path: Path,
    *,
    num_elites: int = 2,
    draw: int | None = None,
    seed: int = 0,
    as_json: bool = False,
    out: TextIO | None = None,
) -> int:
    """Analyse a file's arrays and print what came out. Raises ConfigError."""
    out = out or sys.stdout
    arrays: dict[str, Any] = read_arrays(path)
    try:
        found = analyse(**arrays, num_elites=num_elites, draw=draw, seed=seed)
    except ValueError as error:
        raise ConfigError({"from-array": str(error)}) from error
    print(json.dumps(found.to_json(), allow_nan=False) if as_json else table(found), file=out)
    return 0


def table(found: Reliability) -> str:
    """The analysis as text, a line a timestep."""
    lines = [found.quantity, "step" + "".join(f"{title:>{width + 1}}" for title, _, width in COLUMNS)]
    for step, one in enumerate(found.timesteps):
        values = [(getattr(one, name), width) for _, name, width in COLUMNS]
        lines.append(f"{step + 1:>4}" + "".join(f"{_told(value):>{width + 1}}" for value, width in values))
    ranked = [one for one in found.timesteps if math.isfinite(one.spearman_median)]
    if ranked and not any(math.isfinite(one.spearman_low) for one in ranked):
        lines.append(f"Too few prompts for an interval: at least {FEWEST_PROMPTS} are needed.")
    return "\n".join(lines)


def _told(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"
