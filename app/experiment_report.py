"""An experiment as one HTML file that needs nothing else: what came out, curves, tables, settings, versions."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from plotly.offline import get_plotlyjs

from app.figure_style import DARK, LIGHT, Theme, layout, line
from app.train_export import command_line
from core.experiment_results import AXES, sentence
from core.train_config import from_dict

COLOURS = ("search", "ode", "random_elites", "best_of_sde", "no_search", "best_of_seed")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "solid")
AT = {"epoch": "epoch {:,.0f}", "nfe": "{:,.0f} NFE", "seconds": "{:,.0f} s"}
AXIS_WORDS = {"epoch": "Epoch", "nfe": "Velocity evaluations of the training", "seconds": "Seconds of training"}
STYLE = """
:root { color-scheme: light dark; --ink: #1d2025; --soft: #63666d; --page: #faf9f6; --paper: #fff; --line: #deded9;
  --note: #fff3df; --gold: #b5560a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e9e9e6; --soft: #a3a6ae; --page: #121416; --paper: #191b1e;
  --line: #303339; --note: #2b2218; --gold: #f0935a; } }
body { font: 15px/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Arial, sans-serif; color: var(--ink);
  background: var(--page); margin: 0 auto; max-width: 70rem; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: .95rem; margin: 1rem 0 .2rem; color: var(--soft); font-weight: 600; }
.question { font-size: 1.05rem; color: var(--soft); margin: 0 0 1rem; max-width: 48rem; }
.note { background: var(--note); border-left: 3px solid var(--gold); padding: .5rem .9rem; margin: .75rem 0; }
ul.found { padding-left: 1.1rem; } ul.found li { margin: .3rem 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: .75rem; }
.chart { background: var(--paper); border: 1px solid var(--line); border-radius: 6px; height: 19rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .87rem; }
th, td { text-align: right; padding: .3rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } thead th { color: var(--soft); font-weight: 600; }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 6px; padding: .7rem; overflow-x: auto;
  font-size: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; }
details { margin: .4rem 0; } summary { cursor: pointer; } .weak { color: var(--soft); }
"""


def report(found: Mapping[str, Any]) -> str:
    """The file's text. `found` is what `app.experiment_command.told` gives."""
    words, charts = found["measures"], []
    body = [
        f"<h1>{escape(found['title'])}</h1><p class=question>{escape(found['question'])}</p>",
        *(f"<p class=note>{escape(note)}</p>" for note in notes(found)),
        "<h2>What came out</h2>",
        _sentences(found),
    ]
    for measure, title in words.items():
        body.append(f"<h2>{escape(title)}</h2><div class=charts>")
        for axis in AXES:
            charts.append([chart(found, measure, axis, theme) for theme in (LIGHT, DARK)])
            body.append(f'<div class=chart id="chart-{len(charts) - 1}" role=img aria-label="{escape(title)}"></div>')
        body.append("</div>" + _last_values(found, measure))
    body += ["<h2>Contrasts</h2>", _contrasts(found), "<h2>Runs</h2>", _runs(found), "<h2>Settings</h2>"]
    body += [_settings(name, arm) for name, arm in found["arms"].items()]
    body += ["<h2>Versions</h2>", f"<pre>{escape(json.dumps(found['environment'], indent=2))}</pre>"]
    script = (
        f"const charts = {_script(charts)}, dark = matchMedia('(prefers-color-scheme: dark)');"
        "function draw() { charts.forEach((both, index) => { const {data, layout} = both[dark.matches ? 1 : 0];"
        "Plotly.react(`chart-${index}`, data, layout, {displayModeBar: false, responsive: true}); }); }"
        "dark.addEventListener('change', draw); draw();"
    )
    return (
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{escape(found['title'])}</title>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style><script>{get_plotlyjs()}</script></head><body>{''.join(body)}"
        f"<script>{script}</script></body></html>\n"
    )


def notes(found: Mapping[str, Any]) -> list[str]:
    """What a reader must know before the figures."""
    said = []
    if found["small"]:
        said.append("This is the small size: it shows that the experiment runs, and says nothing about its question.")
    missing = found["missing"]
    if missing:
        listed = ", ".join(f"{one['arm']} seed {one['seed']} ({one['state']})" for one in missing[:8])
        said.append(f"{len(missing)} of its runs have not finished: {listed}.")
    if len({json.dumps(one["commit"]) for one in found["runs"]}) > 1:
        said.append("Its runs were trained by different versions of the code: see the table of runs.")
    return said


def chart(found: Mapping[str, Any], measure: str, axis: str, theme: Theme) -> dict[str, Any]:
    """A measure over epochs or over what was spent: the seeds' mean and 95% t interval, an arm a line."""
    data: list[dict[str, Any]] = []
    for index, (name, arm) in enumerate(found["arms"].items()):
        color, rows = theme.arms[COLOURS[index % len(COLOURS)]], arm["curves"].get(measure, [])
        if not rows:
            continue
        x, banded = [row[axis] for row in rows], [row for row in rows if row["low"] is not None]
        if banded:
            places = [row[axis] for row in banded]
            around = places + places[::-1]
            edge = [row["high"] for row in banded] + [row["low"] for row in banded][::-1]
            soft = {"fill": "toself", "fillcolor": color, "opacity": 0.13, "hoverinfo": "skip", "showlegend": False}
            data.append(line(name, around, edge, "rgba(0,0,0,0)", legendgroup=name, **soft))
        mean = [row["mean"] for row in rows]
        more: dict[str, Any] = {"legendgroup": name, "dash": DASHES[index % len(DASHES)]}
        if len(rows) < 30:
            more |= {"mode": "lines+markers", "marker": {"size": 5}}
        data.append(line(name, x, mean, color, **more))
    drawn = layout(theme, found["measures"][measure], AXIS_WORDS[axis], "")
    drawn["xaxis"]["rangemode"] = "tozero"
    return {"data": data, "layout": drawn | {"margin": {"l": 48, "r": 12, "t": 34, "b": 44}}}


def _sentences(found: Mapping[str, Any]) -> str:
    main = list(found["measures"])[:2]
    told = [one for one in found["contrasts"] if one["axis"] != "seconds" and one["measure"] in main]
    told.sort(key=lambda one: main.index(one["measure"]))
    items = [f"<li>{escape(sentence(one, found['measures']))}</li>" for one in told]
    return (
        f"<ul class=found>{''.join(items)}</ul>" if items else "<p class=weak>No two arms have a finished seed yet.</p>"
    )


def _last_values(found: Mapping[str, Any], measure: str) -> str:
    head = ["Arm", "first", "last", "gain", "seeds"]
    rows = [
        [name, *(_interval(arm["gains"][measure][key]) for key in ("first", "last", "gain")), len(arm["seeds"])]
        for name, arm in found["arms"].items()
        if measure in arm["gains"]
    ]
    return _table(head, rows) if rows else ""


def _contrasts(found: Mapping[str, Any]) -> str:
    about = (
        "<p class=weak>Paired by seed; t intervals. Detectable: the smallest true difference that as many seeds with "
        "this spread would tell from 0 four times in five (by the noncentral t). Underpowered: the interval spans 0. "
        "Seeds vary the training; held-out prompts and the noise they are drawn from are the same in every run. NFE: "
        "velocity evaluations of the training.</p>"
    )
    head = ["Arms", "at", "one", "other", "difference [95%]", "detectable", ""]
    body = [about]
    for measure, title in found["measures"].items():
        rows = [
            [
                f"{one['one']} − {one['other']}",
                AT[one["axis"]].format(one["budget"]),
                *(f"{one[side]['mean']:.4f}" for side in ("value", "against")),
                _interval(one["difference"], signed=True),
                "" if one["detectable"] is None else f"{one['detectable']:.4f}",
                _mark(one),
            ]
            for one in found["contrasts"]
            if one["measure"] == measure
        ]
        if rows:
            body.append(f"<h3>{escape(title)}</h3>{_table(head, rows)}")
    return "".join(body)


def _mark(one: Mapping[str, Any]) -> str:
    """What a contrast's interval says, in a word."""
    if one["difference"]["low"] is None:
        return "one seed"
    if one["underpowered"]:
        return "underpowered"
    return "no difference" if one["difference"]["mean"] == 0 else "told apart"


def _runs(found: Mapping[str, Any]) -> str:
    head = ["Arm", "seed", "record", "epochs", "velocity evaluations", "seconds", "state", "code"]
    rows = [
        [
            *(one[name] for name in ("arm", "seed", "record", "epochs")),
            f"{one['nfe']:,}",
            f"{one['seconds']:.0f}",
            one["state"],
            one["commit"],
        ]
        for one in found["runs"]
    ]
    return _table(head, rows)


def _settings(name: str, arm: Mapping[str, Any]) -> str:
    config = from_dict(arm["config"])
    return (
        f"<details><summary>{escape(name)}</summary><pre>{escape(command_line(config))}</pre>"
        f"<pre>{escape(json.dumps(arm['config'], indent=2))}</pre></details>"
    )


def _interval(one: Mapping[str, Any], *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    mean = format(one["mean"], f"{sign}.4f")
    return (
        mean
        if one["low"] is None or one["low"] == one["high"]
        else f"{mean} [{one['low']:{sign}.4f}, {one['high']:{sign}.4f}]"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    top = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape('' if cell is None else str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<div class=wide><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"


def _script(value: Any) -> str:
    """JSON inside a script: nothing in it can end the script."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
