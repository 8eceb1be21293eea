"""Charts of several fine-tunes, and of several measurements, over one another: pure functions to Plotly figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.compare_figures import AXES, HOVER, Figure, lettered, sigma_axis, styled
from app.compare_style import colour
from app.compare_words import title_of
from app.figure_style import DARK, LIGHT, layout, line
from app.sentences import short
from core.errors import LabError

Side = Mapping[str, Any]
TRAIN_AXES = {"epoch": "Epoch", "nfe": "Velocity evaluations of the training", "seconds": "Seconds of training"}
MARKED = 40  # points of a line that still get marks
CURVES = {"spearman_median": "Rank correlation with the truth", "expected_gain": "Expected gain"}


def train_figures(
    sides: Mapping[str, Side], names: Mapping[str, str], *, x: str = "epoch", measure: str = "", dark: bool = False
) -> dict[str, Figure]:
    """Held-out reward, exact verdicts and training reward, a line a run. `measure` names one reward instead of the sum.

    Averaged weights where a run has them, else the trained weights: the note says whose are which. Raises LabError.
    """
    if x not in TRAIN_AXES:
        raise LabError(f"x: expected one of {', '.join(TRAIN_AXES)}, got {x[:40]!r}")
    about = (sides, names, x, dark)
    behind = f"/{measure}" if measure else ""
    what = title_of(measure) if measure else "Trained sum"
    drawn_of = f"reward/{measure}" if measure else "reward_mean"
    made = {
        "heldout": _curve(*about, (f"heldout_ema{behind}", f"heldout{behind}"), f"{what} on held-out prompts", what),
        "verifier": _curve(*about, ("verifier_ema", "verifier"), "Exactly right on held-out prompts", "Share"),
        "reward": _curve(*about, (drawn_of,), f"{what} of the pictures drawn for training", what),
    }
    return {name: figure for name, figure in made.items() if figure["data"]}


def _curve(
    sides: Mapping[str, Side], names: Mapping[str, str], x: str, dark: bool, keys: Sequence[str], title: str, y: str
) -> Figure:
    theme, data, ends, plain_weights = DARK if dark else LIGHT, [], [], []
    for letter, side in sides.items():
        key = next((key for key in keys if any(_has(row, key) for row in side["epochs"])), None)
        rows = [row for row in side["epochs"] if _has(row, key)] if key else []
        if not rows:
            continue
        if len(keys) > 1 and key == keys[-1]:
            plain_weights.append(letter)
        values = [row["metrics"][key] for row in rows]
        more = {"customdata": [[row["epoch"], -1, None] for row in rows]} | (
            {"mode": "lines"} if len(rows) > MARKED else {}
        )
        data.append(styled(letter, names[letter], [row[x] for row in rows], values, dark=dark, **more))
        ends.append(f"{letter} {short(values[0])} → {short(values[-1])}")
    note = (
        f"{', '.join(plain_weights)}: trained weights, others averaged." if 0 < len(plain_weights) < len(data) else None
    )
    told = f"{title}: {', '.join(ends)}" if ends else title
    drawn = layout(theme, told, TRAIN_AXES[x], y, axis="along", note=note)
    drawn["xaxis"]["rangemode"] = "tozero"
    return lettered(data, drawn)


def _has(row: Side, key: str | None) -> bool:
    return row["metrics"].get(key) is not None


def measure_figures(
    sides: Mapping[str, Side], names: Mapping[str, str], *, estimate: str, dark: bool = False
) -> dict[str, Figure]:
    """How well an estimate ranks siblings, and what is to be gained, by noise level; intervals as bands."""
    rows = {
        letter: [row for row in side["curves"][estimate]["own"] if not row["trivial"]]
        for letter, side in sides.items()
        if estimate in side["curves"]
    }
    made = {name: _by_sigma(rows, names, name, y, estimate, dark=dark) for name, y in CURVES.items()}
    return {name: figure for name, figure in made.items() if figure["data"]}


def _by_sigma(
    rows: Mapping[str, Sequence[Side]],
    names: Mapping[str, str],
    key: str,
    y: str,
    estimate: str,
    *,
    dark: bool,
) -> Figure:
    theme = DARK if dark else LIGHT
    data: list[dict[str, Any]] = []
    best = []
    for letter, each in rows.items():
        known = [row for row in each if row[key] is not None]
        if not known:
            continue
        if key == "spearman_median":
            data += _band(letter, known, dark=dark)
        place, values = [row["sigma"] for row in known], [row[key] for row in known]
        told = [f"step {row['step'] + 1}, σ {short(row['sigma'])}" for row in known]
        hover = {"text": told, "hovertemplate": HOVER}
        data.append(styled(letter, names[letter], place, values, dark=dark, **hover))
        top = max(known, key=lambda row: row[key])
        best.append(f"{letter} {short(top[key])} at σ {short(top['sigma'])}")
    title = f"{y}, {estimate}: highest {', '.join(best)}" if best else y
    drawn = layout(theme, title, AXES["sigma"], y, axis="along")
    sigma_axis(drawn)
    if key == "spearman_median":
        drawn["yaxis"] |= {"range": [-0.55, 1.08], "dtick": 0.25}
    return lettered(data, drawn)


def _band(letter: str, rows: Sequence[Side], *, dark: bool) -> list[dict[str, Any]]:
    """A record's 95% interval as a pale area."""
    known = [row for row in rows if row["spearman_low"] is not None and row["spearman_high"] is not None]
    if len(known) < 2:
        return []
    x, fill = [row["sigma"] for row in known], _pale(colour(letter, dark=dark))
    edge = {"hoverinfo": "skip", "width": 0, "showlegend": False, "meta": {"mark": True}}
    low, high = ([row[name] for row in known] for name in ("spearman_low", "spearman_high"))
    return [line("", x, low, fill, **edge), line("", x, high, fill, fill="tonexty", fillcolor=fill, **edge)]


def _pale(color: str) -> str:
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.12)"
