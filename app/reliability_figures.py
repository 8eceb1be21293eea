"""Charts of a measurement: pure functions to Plotly figures, made as the plain JSON that they are.

Points of the charts by timestep carry `customdata` [step, None, None] as a session's do, those of the scatter
[row, sibling]. What is shown counts from 1; a bar at the top marks the recommended window.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from app.figure_style import DARK, LIGHT, Theme, layout, line, plain, whole_ticks
from app.measured import Measured
from app.reliability_science import points
from app.sentences import short

Figure = dict[str, Any]
Row = Mapping[str, Any]
MANY = 2_000  # from here on the graphics card draws the dots
MISJUDGED = 0.6  # siblings ranked apart by more than this share of the others stand out
BAR = "The bar at the top: where a search is recommended."
COLOURS = {
    "sde": "search",
    "literal": "ode",
    "2-step": "random_elites",
    "3-step": "best_of_sde",
    "5-step": "best_of_seed",
    "heun": "no_search",
    "mean-of-3": "ode",
}
DASHES = {"literal": "dash", "2-step": "dot", "3-step": "dashdot", "5-step": "solid", "heun": "dot", "mean-of-3": "dot"}
MODES = {"mean": "Mean", "mean_on_shell": "Mean, rescaled", "best": "Best"}
MODE_DASHES = {"mean": "dot", "mean_on_shell": "dash", "best": "solid"}


def figures(
    found: Measured,
    findings: Row,
    chosen: Row,
    titles: Mapping[str, str],
    excess: Sequence[float | None],
    *,
    dark: bool = False,
) -> dict[str, Figure]:
    """All charts by name. `chosen` has step, estimate, proxy and truth; `excess` the noise that each step leaves."""
    theme = DARK if dark else LIGHT
    made = {
        "curve": curve_figure(found, findings, chosen, theme),
        "gain": gain_figure(found, findings, chosen, theme),
        "scatter": scatter_figure(found, chosen, titles, theme),
        "realised": realised_figure(found, findings, chosen, titles, theme),
        "distance": distance_figure(found, findings, chosen, excess, theme),
    }
    return {name: figure for name, figure in made.items() if figure["data"]}


def curve_figure(found: Measured, findings: Row, chosen: Row, theme: Theme) -> Figure:
    """Rank correlation within siblings by step: the chosen estimate with its interval and null band, the others."""
    rows = findings["curves"][chosen["estimate"]]["own"]
    data = _band(rows, "null_low", "null_high", "No better than chance", "rgba(128,128,128,0.18)")
    data += _band(rows, "spearman_low", "spearman_high", "95% interval", theme.accent_soft)
    data += _estimates(findings, chosen["estimate"], "spearman_median", theme)
    known = [row for row in rows if row["spearman_median"] is not None and not row["trivial"]]
    title = "How well the guess ranks siblings"
    if known:
        best = max(known, key=lambda row: row["spearman_median"])
        title = f"The guess ranks siblings best at {_place(best)}: {short(best['spearman_median'])}"
    drawn = _by_step(found, findings, chosen, theme, title, "Rank correlation with the truth")
    shown = [row["spearman_median"] for one in findings["curves"].values() for row in one["own"]]
    shown += [row["spearman_low"] for row in rows]
    lowest = min((value for value in shown if value is not None), default=0.0)
    drawn["yaxis"] |= {"range": [min(-0.5, lowest - 0.05), 1.05], "dtick": 0.25}
    return {"data": data, "layout": drawn}


def gain_figure(found: Measured, findings: Row, chosen: Row, theme: Theme) -> Figure:
    """Expected gain G by step, and the spread of the truth that it is made of."""
    rows = findings["curves"][chosen["estimate"]]["own"]
    spread = _by_row(rows, "truth_std", "Spread of the truth", theme.faint, width=1.5, dash="dot")
    data = [spread, *_estimates(findings, chosen["estimate"], "expected_gain", theme)]
    known = [row for row in rows if row["expected_gain"] is not None and not row["trivial"]]
    title = "Expected gain by step"
    if known:
        best = max(known, key=lambda row: row["expected_gain"])
        title = f"The most is to be gained at {_place(best)}: {short(best['expected_gain'])}"
    drawn = _by_step(found, findings, chosen, theme, title, "Expected gain")
    return {"data": data, "layout": drawn}


def scatter_figure(found: Measured, chosen: Row, titles: Mapping[str, str], theme: Theme) -> Figure:
    """Guess against truth at the chosen step, each less its row's mean: prompts differ in level, and that is no merit
    of the guess."""
    rows = points(found, **chosen)
    by_row: dict[int, list[Row]] = {}
    for one in rows:
        if one["proxy"] is not None and one["truth"] is not None:
            by_row.setdefault(one["row"], []).append(one)
    shown = [
        (one, one["proxy"] - _mean(each, "proxy"), one["truth"] - _mean(each, "truth"))
        for each in by_row.values()
        for one in each
    ]
    near = [point for point in shown if (point[0]["surprise"] or 0) <= MISJUDGED]
    far = [point for point in shown if (point[0]["surprise"] or 0) > MISJUDGED]
    many = len(shown) > MANY
    data = [_dots(near, "Siblings", theme.accent, many, 0.55), _dots(far, "Misjudged", theme.second, many, 0.95)]
    guess, truth = (titles.get(name, name) for name in (chosen["proxy"], chosen["truth"]))
    title = f"Step {chosen['step'] + 1}: the guess's reward against where each sibling really went"
    lost = len(rows) - len(shown)
    note = f"{lost} without a number {'is' if lost == 1 else 'are'} not shown." if lost else None
    x, y = f"Guess: {guess}, less its row's mean", f"Truth: {truth}, less its row's mean"
    return {"data": [one for one in data if one["x"]], "layout": layout(theme, title, x, y, axis="none", note=note)}


def realised_figure(found: Measured, findings: Row, chosen: Row, titles: Mapping[str, str], theme: Theme) -> Figure:
    """What a search of one iteration returns gains over a random sibling, on the climbed and on a held-out reward."""
    rewards = [found.config.optimised, *found.config.held_out[:1]]
    data: list[dict[str, Any]] = []
    for reward, color in zip(rewards, (theme.accent, theme.second), strict=False):
        called = plain(titles.get(reward, reward))
        for mode in MODES:
            rows = [row for row in findings["realised"] if row["mode"] == mode and row["reward"] == reward]
            if not rows:
                continue
            if mode == "best":
                data += _band(rows, "low", "high", f"{called}, 95%", _soft(theme, reward, rewards))
            data.append(_by_row(rows, "gain", f"{called}: {MODES[mode].lower()}", color, dash=MODE_DASHES[mode]))
    drawn = _by_step(found, findings, chosen, theme, _realised_title(findings, chosen, rewards, titles), "Gain")
    return {"data": data, "layout": drawn}


def _realised_title(findings: Row, chosen: Row, rewards: Sequence[str], titles: Mapping[str, str]) -> str:
    here = {
        row["reward"]: row["gain"]
        for row in findings["realised"]
        if row["mode"] == "best" and row["step"] == chosen["step"] and row["gain"] is not None
    }
    told = [f"{short(here[reward])} on {titles.get(reward, reward)}" for reward in rewards if reward in here]
    return f"Step {chosen['step'] + 1}: the best sibling gains {', '.join(told)}" if told else "Realised gain by step"


def distance_figure(
    found: Measured, findings: Row, chosen: Row, excess: Sequence[float | None], theme: Theme
) -> Figure:
    """How far guesses lie from their truths, and the noise that each step leaves beyond what the next expects."""
    data = _estimates(findings, chosen["estimate"], "latent_distance", theme)
    rows = findings["curves"][chosen["estimate"]]["own"]
    data.append(_by_row(rows, "pixel_distance", "In pixels", theme.soft, width=1.5, dash="dash"))
    left = [{"step": step, "excess": excess[step]} for step in found.steps if step < len(excess)]
    data.append(_by_row(left, "excess", "Noise left over", theme.faint, width=1.5, dash="dot"))
    title = "How far the guess lies from where each sibling really went"
    drawn = _by_step(found, findings, chosen, theme, title, "Root mean square")
    drawn["yaxis"]["rangemode"] = "tozero"
    return {"data": data, "layout": drawn}


def _by_step(found: Measured, findings: Row, chosen: Row, theme: Theme, title: str, y: str) -> dict[str, Any]:
    """The layout of a chart by step, with the recommended window as a bar at the top: bands fill the space below."""
    window = findings["window"]
    drawn = layout(theme, title, "Step", y, axis="step", step=chosen["step"], note=BAR if window else None)
    drawn["xaxis"] |= whole_ticks(found.config.base.num_steps)
    drawn["shapes"] = [
        {"type": "rect", "xref": "x", "yref": "paper", "x0": step + 0.5, "x1": step + 1.5, "y0": 0.97, "y1": 1}
        | {"layer": "above", "fillcolor": theme.accent, "line": {"width": 0}}
        for step in (window or {"steps": ()})["steps"]
    ]
    return drawn


def _estimates(findings: Row, chosen: str, name: str, theme: Theme) -> list[dict[str, Any]]:
    """A line an estimate, the chosen one on top."""
    order = sorted(findings["curves"], key=lambda one: one == chosen)
    return [
        _by_row(
            findings["curves"][one]["own"],
            name,
            one,
            theme.arms[COLOURS[one]],
            width=3 if one == chosen else 1.5,
            dash="solid" if one == chosen else DASHES.get(one, "solid"),
        )
        for one in order
    ]


def _by_row(rows: Sequence[Row], name: str, title: str, color: str, **style: Any) -> dict[str, Any]:
    """A line over steps with what the page needs to point at them."""
    told = [f"σ {short(row['sigma'])}" if row.get("sigma") is not None else "" for row in rows]
    hover = "%{y:.3f}<br>step %{x} %{text}<extra>%{fullData.name}</extra>"
    places: list[list[int | None]] = [[row["step"], None, None] for row in rows]
    more = {"mode": "lines+markers", "marker": {"size": 6}, "text": told, "hovertemplate": hover, "customdata": places}
    return line(title, [row["step"] + 1 for row in rows], [row[name] for row in rows], color, **more, **style)


def _band(rows: Sequence[Row], low: str, high: str, title: str, fill: str) -> list[dict[str, Any]]:
    """The area between two figures, where both are known."""
    known = [row for row in rows if row[low] is not None and row[high] is not None]
    if not known:
        return []
    x, edge = [row["step"] + 1 for row in known], {"hoverinfo": "skip", "width": 0}
    return [
        line(title, x, [row[low] for row in known], fill, showlegend=False, **edge),
        line(title, x, [row[high] for row in known], fill, meta={"key": title}, **edge)
        | {"fill": "tonexty", "fillcolor": fill},
    ]


def _dots(shown: Sequence[tuple[Row, float, float]], name: str, color: str, many: bool, opacity: float) -> Figure:
    told = [
        f"row {one['row'] + 1}, sibling {one['sibling'] + 1}: {one['proxy']:.3f} → {one['truth']:.3f}"
        for one, _, _ in shown
    ]
    return {
        "type": "scattergl" if many else "scatter",
        "mode": "markers",
        "name": name,
        "x": [x for _, x, _ in shown],
        "y": [y for _, _, y in shown],
        "text": told,
        "hovertemplate": "%{text}<extra>%{fullData.name}</extra>",
        "customdata": [[one["row"], one["sibling"]] for one, _, _ in shown],
        "marker": {"size": 7, "color": color, "opacity": opacity},
    }


def _soft(theme: Theme, reward: str, rewards: Sequence[str]) -> str:
    return theme.accent_soft if reward == rewards[0] else "rgba(181,86,10,0.12)"


def _mean(rows: Sequence[Row], name: str) -> float:
    return sum(row[name] for row in rows) / len(rows)


def _place(row: Row) -> str:
    return f"step {row['step'] + 1} (σ {short(row['sigma'])})"
