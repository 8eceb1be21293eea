"""How charts look: one palette for light and one for dark, and the layout that all charts share.

Colours of arms can be told apart with any common colour blindness and stand out from the page (tests measure both);
lines differ by dash as well, so that colour never is the only sign.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FONT = "ui-sans-serif, system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
CLEAR = "rgba(0,0,0,0)"


@dataclass(frozen=True)
class Theme:
    """Colours by what they stand for; `arms` by the arm's name, "search" among them."""

    ink: str
    soft: str
    faint: str
    paper: str
    line: str
    accent: str
    accent_soft: str
    second: str
    arms: dict[str, str]


LIGHT = Theme(
    ink="#1d2025",
    soft="#63666d",
    faint="#7f838b",
    paper="#ffffff",
    line="#deded9",
    accent="#0c746b",
    accent_soft="rgba(12,116,107,0.10)",
    second="#b5560a",
    arms={
        "search": "#0c746b",
        "no_search": "#87869b",
        "ode": "#1d52b3",
        "random_elites": "#a03c90",
        "best_of_sde": "#c4570c",
        "best_of_seed": "#5b4a00",
    },
)
DARK = Theme(
    ink="#e9e9e6",
    soft="#a3a6ae",
    faint="#878b94",
    paper="#191b1e",
    line="#303339",
    accent="#4cc3b5",
    accent_soft="rgba(76,195,181,0.14)",
    second="#f0935a",
    arms={
        "search": "#4cc3b5",
        "no_search": "#868194",
        "ode": "#6a9cf0",
        "random_elites": "#d088cd",
        "best_of_sde": "#ef8b4f",
        "best_of_seed": "#f5e6a3",
    },
)
DASHES = {"ode": "dash", "random_elites": "dot", "no_search": "solid", "search": "solid"}


def layout(theme: Theme, title: str, x: str, y: str, **meta: Any) -> dict[str, Any]:
    """A chart's layout. `title` says what is seen: the page shows it as a heading, so it lies in `meta`, raw.

    `x` and `y` name the axes with their units; other `meta` tells the page how to place its cursor.
    """
    axis = {
        "fixedrange": True,
        "zeroline": False,
        "linecolor": theme.line,
        "tickcolor": theme.line,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": True,
    }
    return {
        "template": {},
        "meta": {"title": title, **meta},
        "font": {"family": FONT, "size": 12, "color": theme.soft},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "margin": {"l": 54, "r": 14, "t": 8, "b": 44},
        "dragmode": False,
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": theme.paper,
            "bordercolor": theme.line,
            "font": {"color": theme.ink, "family": FONT, "size": 12},
            "align": "left",
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        "xaxis": axis | {"showgrid": False, "title": {"text": plain(x), "standoff": 8}},
        "yaxis": axis | {"gridcolor": theme.line, "ticks": "", "title": {"text": plain(y), "standoff": 10}},
    }


def whole_ticks(count: int, first: int = 1) -> dict[str, Any]:
    """An axis of the whole numbers from `first`, `count` of them, not more than a dozen named, nor cut at its ends."""
    step = max(1, -(-count // 12))
    return {
        "range": [first - 0.6, first + count - 0.4],
        "tickmode": "array",
        "tickvals": list(range(first, first + count, step)),
        "ticktext": [str(value) for value in range(first, first + count, step)],
    }


def line(name: str, x: Sequence[Any], y: Sequence[Any], color: str, **more: Any) -> dict[str, Any]:
    """A line; missing values break it. `more` goes to the trace, with `width` and `dash` for the line."""
    style = {"color": color, "width": more.pop("width", 2), "dash": more.pop("dash", "solid")}
    return {"type": "scatter", "mode": "lines", "name": name, "x": list(x), "y": list(y), "line": style} | more


def plain(text: str) -> str:
    """Text that Plotly shows as it is: it reads some markup, and prompts or a reward's title may hold any."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
