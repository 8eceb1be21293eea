"""One colour, letter, dash and symbol for each of up to six records, wherever they stand beside one another.

Okabe and Ito's colours, which the common colour blindnesses leave apart (https://jfly.uni-koeln.de/color); on white as
dark as lines need them there. Tests measure contrast and distances, and that assets/css/tray.css has the same.
"""

from collections.abc import Sequence
from typing import Any

from app.figure_style import plain

LETTERS = "ABCDEF"
MOST = len(LETTERS)
COLOURS = {
    "light": ("#0062b8", "#b48a00", "#0a9e6a", "#b9609a", "#a83f16", "#1d2025"),
    "dark": ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#e9e9e6"),
}
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
HEIGHTS = {"big": 230.0, "small": 110.0}  # of a plot without its axes, in pixels: roughly, to keep letters apart
APART = 13.0


def colour(letter: str, *, dark: bool = False) -> str:
    """A letter's colour."""
    return COLOURS["dark" if dark else "light"][LETTERS.index(letter)]


def symbol(letter: str) -> str:
    """A letter's mark."""
    return SYMBOLS[LETTERS.index(letter)]


def dash(letter: str) -> str:
    """A letter's kind of line."""
    return DASHES[LETTERS.index(letter)]


def end_letters(
    traces: Sequence[dict[str, Any]], *, size: str = "big", from_zero: bool = False
) -> list[dict[str, Any]]:
    """Annotations with each line's letter (its `meta.letter`) behind its last point, moved apart where they meet.

    `size` is the chart's, and `from_zero` says that its y axis begins at 0.
    """
    ends = [(trace, *last) for trace in traces if (last := _last(trace)) is not None]
    values = [value for trace in traces for value in trace["y"] if value is not None]
    if not ends:
        return []
    lowest = min(0.0, *values) if from_zero else min(values)
    scale = HEIGHTS[size] / ((max(values) - lowest) or 1.0)
    found, below = [], -APART
    for trace, x, y in sorted(ends, key=lambda one: one[2]):
        at = (y - lowest) * scale
        place = max(at, below + APART)
        below = place
        style = {"color": trace["line"]["color"], "size": 12, "weight": 700}
        text = {"text": plain(trace["meta"]["letter"]), "showarrow": False, "font": style, "xanchor": "left"}
        found.append({"x": x, "y": y, "xshift": 6, "yshift": place - at, **text})
    return found


def _last(trace: dict[str, Any]) -> tuple[Any, float] | None:
    if trace.get("showlegend") is False or "letter" not in trace.get("meta", {}):
        return None
    known = [(x, y) for x, y in zip(trace["x"], trace["y"], strict=True) if y is not None]
    return known[-1] if known else None
