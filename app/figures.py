"""Charts of a session: pure functions from its view to Plotly figures, made as the plain JSON that they are.

(With plotly's own classes a step of 16,384 candidates took half a second of validating instead of a twentieth, and the
web process 40 MB; the tests put every figure through them instead.)

Every point carries `customdata` [step, iteration, candidate] (counted from 0, None where the point stands for more than
one), by which the page finds the cursor's point and says where a click leads. What is shown counts from 1. Titles state
what is seen. Dashed grey is what a blind search would do: core/search/null.py.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from app import sentences
from app.figure_style import DARK, DASHES, LIGHT, Theme, layout, line, whole_ticks
from app.sentences import blind_of
from storage.values import weighted

View = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]
Point = list[int | None]
Figure = dict[str, Any]
MANY = 2_000  # from here on the graphics card draws the dots
DODGE = 0.3
SHADED = "Shaded: the steps that are searched."
FINITE = "The theory is for very many elements; real noises of a few thousand come out lower."


def figures(
    view: View,
    rows: Rows,
    step: int,
    *,
    titles: Mapping[str, str] | None = None,
    reward: str | None = None,
    dark: bool = False,
) -> dict[str, Figure]:
    """All charts for one timestep, by name: those of its iterations only where it has some.

    `view` is `Lab.session_view`'s; `rows` are the step's iterations with their candidates. `reward` names one to show
    instead of the optimised sum; `titles` are the rewards' by name.
    """
    theme = DARK if dark else LIGHT
    made: dict[str, Figure] = {}
    if rows:
        made["reward"] = reward_figure(view, rows, step, theme, titles or {}, reward)
    made["trail"] = trail_figure(view, theme, titles or {})
    if rows:
        made["norm"] = norm_figure(view, rows, step, theme)
        made["spread"] = spread_figure(view, rows, step, theme)
        made["cosine"] = cosine_figure(view, rows, step, theme)
        made["kurtosis"] = kurtosis_figure(view, rows, step, theme)
    made["noise"] = noise_figure(view, step, theme)
    made["cost"] = cost_figure(view, theme)
    return {name: figure for name, figure in made.items() if figure["data"]}


def reward_figure(
    view: View, rows: Rows, step: int, theme: Theme, titles: Mapping[str, str], reward: str | None = None
) -> Figure:
    """Every candidate's reward by iteration, the kept ones filled, their mean, and the lowest that was kept."""
    name = reward if reward in view["config"]["rewards"] else None
    values = [row["total"] if name is None else row["rewards"].get(name, []) for row in rows]
    kept = [[values[i][c] for c in row["elites"] if c < len(values[i])] for i, row in enumerate(rows)]
    x, means = [row["iteration"] + 1 for row in rows], [sentences.mean(each) for each in values]
    blind = view["config"]["search"]["selection"] == "random"
    data = _dots(rows, values, theme, "Candidates", "Kept, at random" if blind else "Kept")
    data.append(line("Mean", x, means, theme.ink, width=2, hoverinfo="skip"))
    if name is None and not blind:
        lowest = [min((v for v in each if v is not None), default=None) for each in kept]
        data.append(line("Lowest kept", x, lowest, theme.accent, width=1.5, dash="dot", hoverinfo="skip"))
    y = titles.get(name, name) if name else sentences.optimised_title(view["config"], titles)
    title = sentences.reward_title(means, y)
    drawn = layout(theme, title, "Iteration", y, axis="iteration", step=step, note=_lost(values))
    drawn["xaxis"] |= whole_ticks(view["config"]["search"]["num_iterations"])
    return _figure(data, drawn)


def norm_figure(view: View, rows: Rows, step: int, theme: Theme) -> Figure:
    """||m||/sqrt(d) of the candidates and of the search mean by iteration, beside the shell and a blind search."""
    count = view["config"]["search"]["num_iterations"]
    data = [_real_noise(1, count + 1, theme)]
    data += _dots(rows, [row["norms"] for row in rows], theme, "Candidates", "Kept")
    taken = next((one for one in view["steps"] if one["step"] == step), None)
    x, norms = [row["iteration"] + 1 for row in rows], [row["mean_norm"] for row in rows]
    data.append(line("Search mean", x, norms, theme.ink, customdata=_places(rows), hovertemplate=_hover("%{y:.3f}")))
    if taken is not None:
        used = {"x": [count + 1], "y": [taken["noise_norm"]], "customdata": [[step, None, None]]}
        marker = {"symbol": "diamond", "size": 10, "color": theme.ink}
        hover = "used: %{y:.3f}<extra></extra>"
        data.append(
            {"type": "scatter", "mode": "markers", "name": "Used", "marker": marker, "hovertemplate": hover} | used
        )
    theory = blind_of(view["config"], rows)
    if theory is not None:
        data.append(_blind_line(theory.mean_norm, theme, "Mean of a blind search"))
    title = sentences.norm_title(rows, taken, theory)
    drawn = layout(theme, title, "Iteration", "‖m‖ / √d", axis="iteration", step=step)
    ticks = whole_ticks(count + 1)
    named = {"ticktext": [*ticks["ticktext"][:-1], "used"] if ticks["tickvals"][-1] == count + 1 else ticks["ticktext"]}
    drawn["xaxis"] |= ticks | named
    drawn["yaxis"]["rangemode"] = "tozero"
    return _figure(data, drawn)


def spread_figure(view: View, rows: Rows, step: int, theme: Theme) -> Figure:
    """Median, quartiles and extremes of search_std by iteration."""
    x, places = [row["iteration"] + 1 for row in rows], _places(rows)
    low, first, middle, third, high = ([row["std_quantiles"][q] for row in rows] for q in range(5))
    edge = {"hoverinfo": "skip", "width": 0}
    data = [
        line("Smallest", x, low, theme.faint, visible=False),
        line("First quartile", x, first, theme.accent, showlegend=False, **edge),
        line("Third quartile", x, third, theme.accent, meta={"key": "Middle half"}, **edge)
        | {"fill": "tonexty", "fillcolor": theme.accent_soft},
        line("Largest", x, high, theme.faint, hoverinfo="skip", width=1),
        line("Median", x, middle, theme.accent, width=2.5, customdata=places, hovertemplate=_hover("%{y:.3f}")),
    ]
    theory = blind_of(view["config"], rows)
    if theory is not None:
        data.append(_blind_line(theory.std_median[:-1], theme, "Median of a blind search"))
    title = sentences.spread_title(rows, theory)
    drawn = layout(theme, title, "Iteration", "search_std", axis="iteration", step=step)
    if all(value for trace in data[1:] for value in trace["y"]):  # a spread that shrinks by shares is a straight line
        drawn["yaxis"] |= {"type": "log", "dtick": "D2" if min(middle) > 0.1 else 1}
    return _by_iteration(view, data, drawn)


def cosine_figure(view: View, rows: Rows, step: int, theme: Theme) -> Figure:
    """The mean cosine between candidates by iteration."""
    theory = blind_of(view["config"], rows)
    title = sentences.cosine_title(rows, theory)
    drawn = layout(theme, title, "Iteration", "Mean cosine", axis="iteration", step=step)
    drawn["yaxis"]["rangemode"] = "tozero"
    values = [row["cosine"] for row in rows]
    return _by_iteration(view, _measured(rows, values, None if theory is None else theory.cosine[:-1], theme), drawn)


def kurtosis_figure(view: View, rows: Rows, step: int, theme: Theme) -> Figure:
    """The candidates' mean kurtosis by iteration; a real noise has 3."""
    theory = blind_of(view["config"], rows)
    values = [sentences.mean(row["kurtosis"]) for row in rows]
    title, count = sentences.kurtosis_title(values), view["config"]["search"]["num_iterations"]
    drawn = layout(theme, title, "Iteration", "Mean kurtosis", axis="iteration", step=step, note=FINITE)
    data = _measured(rows, values, None if theory is None else theory.kurtosis[:-1], theme)
    return _by_iteration(view, [_real_noise(3, count, theme), *data], drawn)


def noise_figure(view: View, step: int, theme: Theme) -> Figure:
    """The noise that each step adds, and what it leaves beyond the level that the next step expects."""
    count = len(view["step_std"])
    x, sigmas = list(range(1, count + 1)), view["sigmas"]
    places: list[Point] = [[one, None, None] for one in range(count)]
    told = [f"σ {sigmas[i]:.3f} → {sigmas[i + 1]:.3f}" for i in range(count)]
    each = {"mode": "lines+markers", "customdata": places, "text": told, "hovertemplate": _hover("%{y:.3f}<br>%{text}")}
    data = [
        line("Added", x, view["step_std"], theme.soft, marker={"size": 6, "symbol": "square"}, **each),
        line("Left over", x, view["excess_std"], theme.second, marker={"size": 6}, **each),
    ]
    drawn = layout(
        theme,
        sentences.noise_title(view, step),
        "Step",
        "Standard deviation",
        axis="step",
        note=SHADED if any(view["searched"]) else None,
    )
    _mark_steps(drawn, view, theme)
    drawn["yaxis"]["rangemode"] = "tozero"
    return _figure(data if count else [], drawn)


def trail_figure(view: View, theme: Theme, titles: Mapping[str, str]) -> Figure:
    """The optimised reward of the guess after each step, a line an arm; best-of arms are known only at their end."""
    config, count = view["config"], len(view["searched"])
    by_arm = {arm["arm"]: arm for arm in view["arms"]}
    own = [weighted(config["rewards"], row["rewards"]) for row in view["steps"] if row["step"] >= 0]
    data = []
    for name in ("search", *config["arms"]):
        arm = by_arm.get(name, {})
        trail = arm.get("trail") or (own if name == "search" else [])
        color, shown = theme.arms[name], sentences.arm_name(config, name)
        hover = _hover("%{y:.3f}<br>after step %{x}")
        if trail:
            places: list[Point] = [[step, None, None] for step in range(len(trail))]
            style = {"width": 3 if name == "search" else 1.75, "dash": DASHES[name], "hovertemplate": hover}
            data.append(line(shown, range(1, len(trail) + 1), trail, color, customdata=places, **style))
        elif arm:
            end = {"x": [count], "y": [weighted(config["rewards"], arm["rewards"])], "hovertemplate": hover}
            marker = {"symbol": "diamond" if name == "best_of_sde" else "triangle-up", "size": 10, "color": color}
            data.append({"type": "scatter", "mode": "markers", "name": shown, "marker": marker} | end)
    y = sentences.optimised_title(config, titles)
    drawn = layout(
        theme, sentences.trail_title(view), "Step", y, axis="step", note=SHADED if any(view["searched"]) else None
    )
    _mark_steps(drawn, view, theme)
    return _figure(data[::-1], drawn | {"legend": drawn["legend"] | {"traceorder": "reversed"}})


def cost_figure(view: View, theme: Theme) -> Figure:
    """Velocity evaluations and decoded pictures of the search against its seconds."""
    spent = sentences.spending(view)
    x, places = [row["seconds"] for row in spent], [[row["step"], row.get("iteration"), None] for row in spent]
    each = {"mode": "lines+markers", "customdata": places}
    data = [
        line(name, x, [row[field] for row in spent], color, **each)
        | {"marker": {"size": 4, "symbol": symbol}, "hovertemplate": _hover("%{y:,}<br>%{x:.2f} s")}
        for name, field, color, symbol in (
            ("Velocity evaluations", "nfe", theme.accent, "circle"),
            ("Decoded pictures", "decodes", theme.second, "square"),
        )
    ]
    drawn = layout(theme, sentences.cost_title(spent), "Seconds", "Count", axis="spent")
    drawn["yaxis"]["rangemode"] = drawn["xaxis"]["rangemode"] = "tozero"
    return _figure(data if spent else [], drawn)


def _dots(rows: Rows, values: Sequence[Sequence[Any]], theme: Theme, others: str, kept: str) -> list[dict[str, Any]]:
    """A dot a candidate that has a number, within its iteration from left to right by index; the kept ones filled."""
    found: dict[bool, tuple[list[float], list[float], list[list[int]]]] = {False: ([], [], []), True: ([], [], [])}
    for row, each in zip(rows, values, strict=True):
        elites = set(row["elites"])
        for index, value in enumerate(each):
            if value is None:
                continue
            x, y, places = found[index in elites]
            x.append(row["iteration"] + 1 + _offset(index, len(each)))
            y.append(value)
            places.append([row["step"], row["iteration"], index])
    many = sum(len(x) for x, _, _ in found.values()) >= MANY
    size = 4 if many else 8
    hollow = {"symbol": "circle-open", "size": size, "color": theme.faint, "line": {"width": 1.25}}
    full = {"symbol": "circle", "size": size + 1, "color": theme.accent}
    return [
        {"type": "scattergl" if many else "scatter", "mode": "markers", "name": name, "marker": marker}
        | {"meta": {"kept": elite}}
        | {"x": found[elite][0], "y": found[elite][1], "customdata": found[elite][2]}
        | {
            "text": [place[2] + 1 for place in found[elite][2]],
            "hovertemplate": "candidate %{text}<br>%{y:.4g}<extra></extra>",
        }
        for elite, name, marker in ((False, others, hollow), (True, kept, full))
    ]


def _offset(index: int, count: int) -> float:
    return DODGE * (2 * index / (count - 1) - 1) if count > 1 else 0.0


def _measured(
    rows: Rows, values: Sequence[float | None], theory: Sequence[float] | None, theme: Theme
) -> list[dict[str, Any]]:
    """What was seen by iteration, and what a blind search would show."""
    each = {"mode": "lines+markers", "marker": {"size": 6}, "customdata": _places(rows)}
    x = [row["iteration"] + 1 for row in rows]
    data = [line("Seen", x, values, theme.accent, width=2.5, hovertemplate=_hover("%{y:.3f}"), **each)]
    return data + ([] if theory is None else [_blind_line(theory, theme, "Blind search")])


def _real_noise(value: float, count: int, theme: Theme) -> dict[str, Any]:
    """A mark at what a standard normal noise has."""
    style = {"width": 1, "hoverinfo": "skip", "meta": {"mark": True}}
    return line("Real noise", [0.4, count + 0.6], [value, value], theme.soft, **style)


def _blind_line(values: Sequence[float], theme: Theme, name: str) -> dict[str, Any]:
    shown = [value if math.isfinite(value) else None for value in values]
    x = range(1, len(shown) + 1)
    return line(name, x, shown, theme.faint, width=1.5, dash="dash", hovertemplate=_hover("%{y:.3f}, in theory"))


def _by_iteration(view: View, data: list[dict[str, Any]], drawn: dict[str, Any]) -> Figure:
    drawn["xaxis"] |= whole_ticks(view["config"]["search"]["num_iterations"])
    return _figure(data, drawn)


def _mark_steps(drawn: dict[str, Any], view: View, theme: Theme) -> None:
    """Name every step and shade those that are searched."""
    drawn["xaxis"] |= whole_ticks(len(view["searched"]))
    drawn["shapes"] = [
        {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "x0": step + 0.5, "x1": step + 1.5, "layer": "below"}
        | {"fillcolor": theme.accent_soft, "line": {"width": 0}}
        for step, searched in enumerate(view["searched"])
        if searched
    ]


def _figure(data: list[dict[str, Any]], drawn: dict[str, Any]) -> Figure:
    return {"data": data, "layout": drawn}


def _places(rows: Rows) -> list[Point]:
    return [[row["step"], row["iteration"], None] for row in rows]


def _hover(text: str) -> str:
    return f"{text}<extra>%{{fullData.name}}</extra>"


def _lost(values: Sequence[Sequence[Any]]) -> str | None:
    lost = sum(value is None for each in values for value in each)
    return f"{lost} without a number {'is' if lost == 1 else 'are'} not shown." if lost else None
