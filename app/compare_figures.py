"""Charts of several sessions over one another: pure functions to Plotly figures, made as the plain JSON that they are.

A line a record, in its colour, with its dash, its mark and its letter at the end. Points carry `customdata` [moment,
iteration, None] by which the page finds the cursor's place, -1 for an iteration that none stands for; moments are those
of `app.compare_align`, counted from 0.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from app import sentences
from app.compare_style import colour, dash, end_letters, symbol
from app.compare_words import title_of
from app.figure_style import DARK, LIGHT, layout, line, plain, whole_ticks
from app.sentences import short
from core.errors import LabError
from storage.values import weighted

Figure = dict[str, Any]
View = Mapping[str, Any]
Views = Mapping[str, View]
Moment = Mapping[str, Any]
AXES = {"nfe": "Velocity evaluations", "seconds": "Seconds", "sigma": "Noise level σ"}
TRAIL = "Guesses of different noise levels are not of one kind: compare records where they stand above each other."
DODGE = 0.36  # how far beside a whole number the outermost record stands
HOVER = "%{y:.4g}<br>%{text}<extra>%{fullData.name}</extra>"
MANY = 1_500  # dots of one record, from which on the graphics card draws them
SIGNS = 28  # of a record's name in a key


def figures(
    views: Views,
    names: Mapping[str, str],
    moments: Sequence[Moment],
    details: Mapping[str, Sequence[View]],
    *,
    at: int = 0,
    x: str = "nfe",
    reward: str = "",
    dark: bool = False,
) -> dict[str, Figure]:
    """All charts by name, without those that have nothing to show.

    `details` are the iterations, with their candidates, of each letter's timestep at moment `at`; `reward` names one
    reward, else each record's own optimised sum is shown. Raises LabError for an axis that is none.
    """
    if x not in AXES:
        raise LabError(f"x: expected one of {', '.join(AXES)}, got {x[:40]!r}")
    drawn = _Drawn(views, names, moments, dark=dark, reward=reward)
    made = {
        "trail": drawn.trail(x),
        "arms": drawn.arms(),
        "rewards": drawn.rewards(details, at),
        "norm": drawn.by_iteration(details, at, "mean_norm", "‖m‖ / √d", "The search mean's size"),
        "spread": drawn.by_iteration(details, at, "spread", "search_std", "What spread is left"),
        "cosine": drawn.by_iteration(details, at, "cosine", "Mean cosine", "How alike the candidates are"),
        "used": drawn.used(),
    }
    return {name: figure for name, figure in made.items() if figure["data"]}


def named(letter: str, name: str) -> str:
    """A record in a key: its letter and the beginning of its name, as Plotly shows plain text. Small charts have room
    for letters alone.
    """
    return plain(f"{letter}  {name if len(name) <= SIGNS else name[: SIGNS - 1] + '…'}".rstrip())


def styled(letter: str, name: str, x: Sequence[Any], y: Sequence[Any], *, dark: bool, **more: Any) -> dict[str, Any]:
    """A record's line with its marks."""
    color = colour(letter, dark=dark)
    style = {
        "mode": "lines+markers",
        "marker": {"size": 7, "symbol": symbol(letter), "color": color},
        "dash": dash(letter),
    }
    hover = {"hovertemplate": "%{y:.4g}<extra>%{fullData.name}</extra>", "meta": {"letter": letter}}
    return line(named(letter, name), x, y, color, **(style | hover | more))


def lettered(data: list[dict[str, Any]], drawn: dict[str, Any], size: str = "big") -> Figure:
    """A figure whose lines bear their letters; there is room for these at its right."""
    y = drawn["yaxis"]
    if y.get("type") == "log":
        return {"data": data, "layout": drawn}
    lines = [one for one in data if one["mode"].startswith("lines")]
    marks = end_letters(lines, size=size, from_zero=y.get("rangemode") == "tozero")
    return {"data": data, "layout": drawn | {"annotations": marks, "margin": drawn["margin"] | {"r": 30}}}


def sigma_axis(drawn: dict[str, Any]) -> None:
    """From noise to data, left to right."""
    drawn["xaxis"] |= {"range": [1.04, -0.02], "tickvals": [1, 0.8, 0.6, 0.4, 0.2, 0]}


class _Drawn:
    """The charts of some sessions in one theme."""

    def __init__(self, views: Views, names: Mapping[str, str], moments: Sequence[Moment], *, dark: bool, reward: str):
        self.views, self.names, self.moments, self.reward = views, names, moments, reward
        self.theme, self.dark = DARK if dark else LIGHT, dark

    def value(self, letter: str, rewards: Mapping[str, float | None]) -> float | None:
        """The chosen reward of what a record scored, or its own sum; None where it has none."""
        return rewards.get(self.reward) if self.reward else weighted(self.views[letter]["config"]["rewards"], rewards)

    @property
    def what(self) -> str:
        """What is shown, in a word or two."""
        if self.reward:
            return title_of(self.reward)
        titles = {name: title_of(name) for view in self.views.values() for name in view["config"]["rewards"]}
        sums = {sentences.optimised_title(view["config"], titles) for view in self.views.values()}
        return sums.pop() if len(sums) == 1 else "Each record's own reward"

    def trail(self, x: str) -> Figure:
        """The reward of the guess after each step, over what had been spent by then or over the noise level."""
        data, ends = [], []
        for letter, view in self.views.items():
            taken = [row for row in view["steps"] if row["step"] >= 0]
            if not taken:
                continue
            values = [self.value(letter, row["rewards"]) for row in taken]
            levels = view["sigmas"][1:]
            place = [levels[row["step"]] if x == "sigma" else row[x] for row in taken]
            told = [f"after step {row['step'] + 1} (σ {short(levels[row['step']])})" for row in taken]
            hover = {"text": told, "hovertemplate": HOVER}
            points = [[self._moment(letter, row["step"]), -1, None] for row in taken]
            data.append(styled(letter, self.names[letter], place, values, dark=self.dark, customdata=points, **hover))
            ends.append((letter, values[-1]))
        title = f"{self.what} of the guess after each step{self._ends(ends)}"
        drawn = layout(self.theme, title, AXES[x], self.what, axis="along", note=TRAIL)
        if x == "sigma":
            sigma_axis(drawn)
        else:
            drawn["xaxis"]["rangemode"] = "tozero"
        return lettered(data, drawn)

    def arms(self) -> Figure:
        """The final reward of every way to a picture, with what it cost in its hover."""
        order = list(dict.fromkeys(arm["arm"] for view in self.views.values() for arm in view["arms"]))
        data = []
        for letter, view in self.views.items():
            known = [(arm, self.value(letter, arm["rewards"])) for arm in view["arms"]]
            shown = [(arm, value) for arm, value in known if value is not None]
            place = [order.index(arm["arm"]) + 1 + self._offset(letter) for arm, _ in shown]
            told = [
                f"{arm['nfe']:,} evaluations, {arm['decodes']:,} decoded, {arm['seconds']:.1f} s" for arm, _ in shown
            ]
            style: dict[str, Any] = {
                "marker": {"size": 11, "symbol": symbol(letter), "color": colour(letter, dark=self.dark)}
            }
            style |= {"meta": {"letter": letter, "at": [order.index(arm["arm"]) + 1 for arm, _ in shown]}}
            style |= {"mode": "markers", "text": told, "hovertemplate": HOVER}
            if shown:
                values = [value for _, value in shown]
                data.append(styled(letter, self.names[letter], place, values, dark=self.dark, **style))
        drawn = layout(self.theme, f"{self.what} of the final pictures", "", self.what, axis="arm")
        called = [ARMS.get(arm, arm) for arm in order]
        drawn["xaxis"] |= whole_ticks(len(order) or 1) | {
            "tickvals": list(range(1, len(order) + 1)),
            "ticktext": called,
        }
        drawn["shapes"] = [self._divider(place + 0.5) for place in range(1, len(order))]
        return {"data": data, "layout": drawn}

    def rewards(self, details: Mapping[str, Sequence[View]], at: int) -> Figure:
        """Every candidate's reward by iteration at the cursor's timestep, and each record's median."""
        data: list[dict[str, Any]] = []
        last = 0
        for letter, rows in details.items():
            values = [self._candidates(letter, row) for row in rows]
            x, y = [], []
            for row, each in zip(rows, values, strict=True):
                last = max(last, row["iteration"] + 1)
                x += [row["iteration"] + 1 + self._offset(letter) / 2] * len(each)
                y += each
            marker = {"size": 5, "symbol": symbol(letter), "color": colour(letter, dark=self.dark), "opacity": 0.45}
            dots = {"type": "scattergl" if len(x) >= MANY else "scatter", "mode": "markers", "marker": marker}
            about = {"name": named(letter, self.names[letter]), "showlegend": False, "meta": {"mark": True}}
            data.append(dots | about | {"x": x, "y": y, "hovertemplate": "%{y:.4g}<extra>%{fullData.name}</extra>"})
            medians = [_median(each) for each in values]
            points = [[at, row["iteration"], None] for row in rows]
            place = [row["iteration"] + 1 for row in rows]
            data.append(styled(letter, self.names[letter], place, medians, dark=self.dark, customdata=points))
        title = f"{self.what} of the candidates{self._where(at)}: each, and their median"
        drawn = layout(self.theme, title, "Iteration", self.what, axis="iteration", step=at)
        drawn["xaxis"] |= whole_ticks(max(last, 1))
        return lettered(data if last else [], drawn)

    def by_iteration(self, details: Mapping[str, Sequence[View]], at: int, name: str, y: str, title: str) -> Figure:
        """A figure of the search by iteration at the cursor's timestep: `spread` is its median standard deviation."""
        data, ends, last = [], [], 0
        for letter, rows in details.items():
            values = [row["std_quantiles"][2] if name == "spread" else row[name] for row in rows]
            if not any(value is not None for value in values):
                continue
            points = [[at, row["iteration"], None] for row in rows]
            place = [row["iteration"] + 1 for row in rows]
            last = max(last, place[-1])
            data.append(styled(letter, "", place, values, dark=self.dark, customdata=points))
            ends.append((letter, values[-1]))
        drawn = layout(self.theme, f"{title}{self._ends(ends)}", "Iteration", y, axis="iteration", step=at)
        drawn["xaxis"] |= whole_ticks(max(last, 1))
        if name == "spread" and data and all(value for one in data for value in one["y"]):
            drawn["yaxis"] |= {"type": "log", "dtick": 1}
        else:
            drawn["yaxis"]["rangemode"] = "tozero"
        return lettered(data, drawn, "small")

    def used(self) -> Figure:
        """The size of the noise that each step took, by noise level: 1 is a real noise's."""
        data = []
        for letter, view in self.views.items():
            taken = [row for row in view["steps"] if row["step"] >= 0 and row["noise_norm"] is not None]
            place = [view["sigmas"][row["step"]] for row in taken]
            points = [[self._moment(letter, row["step"]), -1, None] for row in taken]
            values = [row["noise_norm"] for row in taken]
            if taken:
                data.append(styled(letter, "", place, values, dark=self.dark, customdata=points))
        drawn = layout(
            self.theme, "Size of the noise that was used: 1 is a real noise", AXES["sigma"], "‖m‖ / √d", axis="along"
        )
        sigma_axis(drawn)
        drawn["yaxis"]["rangemode"] = "tozero"
        drawn["shapes"] = [
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "layer": "below"}
            | {"line": {"color": self.theme.soft, "width": 1}}
        ]
        return lettered(data, drawn, "small")

    def _candidates(self, letter: str, row: View) -> list[float]:
        values = row["rewards"].get(self.reward, []) if self.reward else row["total"]
        return [value for value in values if value is not None]

    def _moment(self, letter: str, step: int) -> int | None:
        return next((place for place, one in enumerate(self.moments) if one["steps"].get(letter) == step), None)

    def _offset(self, letter: str) -> float:
        place, count = list(self.views).index(letter), len(self.views)
        return DODGE * (2 * place / (count - 1) - 1) if count > 1 else 0.0

    def _where(self, at: int) -> str:
        return f" at σ {short(self.moments[at]['sigma'])}" if at < len(self.moments) else ""

    def _divider(self, place: float) -> dict[str, Any]:
        grid = {"color": self.theme.line, "width": 1}
        return {
            "type": "line",
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "x0": place,
            "x1": place,
            "layer": "below",
            "line": grid,
        }

    def _ends(self, ends: Sequence[tuple[str, float | None]]) -> str:
        told = [f"{letter} {short(value)}" for letter, value in ends if value is not None]
        return f": {', '.join(told)} at the end" if told else ""


ARMS = {
    "search": "Search",
    "no_search": "No search",
    "ode": "ODE",
    "random_elites": "Random<br>elites",
    "best_of_sde": "Best of,<br>same start",
    "best_of_seed": "Best of,<br>fresh starts",
}


def _median(values: Sequence[float]) -> float | None:
    known = sorted(value for value in values if math.isfinite(value))
    middle = len(known) // 2
    if not known:
        return None
    return known[middle] if len(known) % 2 else (known[middle - 1] + known[middle]) / 2
