"""A comparison as one HTML file that needs nothing else: what came out, charts, pictures, settings."""

import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from plotly.offline import get_plotlyjs

from app.compare_figures import ARMS
from app.compare_style import colour
from app.experiment_report import STYLE

Row = Mapping[str, Any]
Picture = Callable[[str], str | None]  # a stored picture's name to a data address, None where it is gone
HEADINGS = {"session": "Searches", "train": "Fine-tunes", "reliability": "Reliability measurements"}
MORE_STYLE = """
.letter { display: inline-grid; place-content: center; width: 1.35rem; height: 1.35rem; border: 3px solid;
  border-radius: 6px; font-size: .78rem; font-weight: 700; margin-right: .35rem; background: #fff; color: #1d2025; }
table.pictures td, table.pictures th { text-align: left; vertical-align: top; white-space: normal; }
table.pictures img { display: block; width: 8rem; image-rendering: pixelated; border-radius: 6px; }
table.settings td { text-align: left; white-space: normal; overflow-wrap: anywhere; max-width: 16rem; }
tr.differs td { background: #fff; } .sheet { max-width: 100%; border-radius: 6px; }
.chart { height: 22rem; } .chart h3 { margin: .6rem .8rem 0; color: #1d2025; } .chart > div { height: 18.5rem; }
"""


def report(found: Row, figures: Mapping[str, Mapping[str, Row]], picture: Picture, made: str) -> str:
    """The file's text. `found` is what `app.comparing.compared` gives, `figures` by kind and name in light colours,
    `made` when and by which version.
    """
    title = f"Compared: {_titles(found['records'])}"
    body = [f"<h1>{escape(title[:200])}</h1><p class=weak>{escape(made)}</p>", _records(found["records"])]
    body += [f"<p class=note>{escape(text)}</p>" for text in found["sentences"]]
    drawn: list[Row] = []
    for kind, section in found["sections"].items():
        body.append(f"<h2>{HEADINGS[kind]}</h2>{_verdicts(section)}<div class=charts>")
        for figure in figures.get(kind, {}).values():
            heading = escape(figure["layout"]["meta"]["title"])
            body.append(f'<div class=chart><h3>{heading}</h3><div id="chart-{len(drawn)}" role=img></div></div>')
            drawn.append(figure)
        body.append("</div>")
        body.append(_pictures(kind, section, picture))
        body.append(f"<h3>Settings</h3>{_settings(section)}")
    script = "".join(
        f'Plotly.newPlot("chart-{index}", {_script(one["data"])}, {_script(one["layout"])}, '
        "{displayModeBar: false, responsive: true});"
        for index, one in enumerate(drawn)
    )
    return (
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{escape(title[:200])}</title>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}{MORE_STYLE}</style><script>{get_plotlyjs()}</script></head><body>{''.join(body)}"
        f"<script>{script}</script></body></html>\n"
    )


def _titles(records: Sequence[Row]) -> str:
    """What the records are called, each title once: "a photo of a star (A: smart-grpo, B: best-of-k)"."""
    told: dict[str, list[str]] = {}
    for one in records:
        told.setdefault(one["title"], []).append(f"{one['letter']}: {one['apart']}" if one["apart"] else one["letter"])
    return ", ".join(f"{title} ({', '.join(letters)})" for title, letters in told.items())


def _letter(letter: str) -> str:
    return f'<span class=letter style="border-color:{colour(letter)}">{letter}</span>'


def _records(records: Sequence[Row]) -> str:
    lines = []
    for one in records:
        said = one["problem"] or one["notice"]
        facts = [
            one.get("preset"),
            one.get("model"),
            None if one.get("seed") is None else f"seed {one['seed']}",
            one["id"],
        ]
        about = " · ".join(str(fact) for fact in facts if fact)
        title = f"{one['title']} ({one['apart']})" if one["apart"] else one["title"]
        cells = (escape(title), escape(about), escape(said))
        lines.append(f"<tr><td>{_letter(one['letter'])} {cells[0]}</td><td>{cells[1]}</td><td>{cells[2]}</td></tr>")
    return f"<div class=wide><table>{''.join(lines)}</table></div>"


def _verdicts(section: Row) -> str:
    items = "".join(f"<li>{escape(one['sentence'])}</li>" for one in section["verdicts"])
    beside = "".join(f"<p class=weak>{escape(text)}</p>" for text in section["beside"])
    return (f"<ul class=found>{items}</ul>" if items else "") + beside


def _pictures(kind: str, section: Row, picture: Picture) -> str:
    if kind == "session":
        return _outcomes(section, picture)
    return _sheets(section, picture) if kind == "train" else ""


def _outcomes(section: Row, picture: Picture) -> str:
    """Final pictures: a row a way to a picture, a column a record."""
    sides = section["sides"]
    arms = {letter: {arm["arm"]: arm for arm in side["arms"]} for letter, side in sides.items()}
    order = list(dict.fromkeys(name for each in arms.values() for name in each))
    head = "".join(f"<th>{_letter(letter)}</th>" for letter in sides)
    lines = [
        f"<tr><th>{escape(ARMS.get(name, name).replace('<br>', ' '))}</th>"
        + "".join(f"<td>{_arm(arms[letter].get(name), picture)}</td>" for letter in sides)
        + "</tr>"
        for name in order
    ]
    table = f"<table class=pictures><tr><th></th>{head}</tr>{''.join(lines)}</table>"
    return f"<h3>Final pictures</h3><div class=wide>{table}</div>"


def _arm(arm: Row | None, picture: Picture) -> str:
    if arm is None:
        return ""
    scores = "<br>".join(
        f"{escape(name)} {'no number' if value is None else f'{value:.3f}'}" for name, value in arm["rewards"].items()
    )
    return f"{_image(picture(arm['image']))}{scores}<br><span class=weak>{arm['nfe']:,} evaluations</span>"


def _sheets(section: Row, picture: Picture) -> str:
    """The last sample sheet of each run."""
    shown = []
    for letter, side in section["sides"].items():
        if side["samples"]:
            last = max(side["samples"], key=lambda sheet: sheet["epoch"])
            shown.append(f"<p>{_letter(letter)} epoch {last['epoch']}</p>{_image(picture(last['sheet']), 'sheet')}")
    prompts = "".join(f"<li>{escape(text)}</li>" for text in next(iter(section["sides"].values()))["prompts"])
    return f"<h3>Samples</h3>{''.join(shown)}<ol class=weak>{prompts}</ol>" if shown else ""


def _image(source: str | None, kind: str = "") -> str:
    return f'<img class="{kind}" alt="" src="{source}">' if source else "<p class=weak>This picture is gone.</p>"


def _settings(section: Row) -> str:
    head = "".join(f"<th>{_letter(letter)}</th>" for letter in section["letters"])
    lines = [
        f"<tr{' class=differs' if row['differs'] else ''}><td>{escape(row['name'])}</td>"
        + "".join(f"<td>{escape(row['values'][letter])}</td>" for letter in section["letters"])
        + "</tr>"
        for row in section["settings"]
        if row["differs"] or len(section["letters"]) == 1
    ]
    same = [row for row in section["settings"] if not row["differs"]] if len(section["letters"]) > 1 else []
    letter = section["letters"][0]
    shared = "".join(f"<tr><td>{escape(row['name'])}</td><td>{escape(row['values'][letter])}</td></tr>" for row in same)
    more = f"<details><summary>{len(same)} that are the same</summary><table class=settings>{shared}</table></details>"
    table = f"<div class=wide><table class=settings><tr><th></th>{head}</tr>{''.join(lines)}</table></div>"
    return (table if lines else "<p class=weak>No setting differs.</p>") + (more if same else "")


def _script(value: Any) -> str:
    """JSON inside a script: nothing in it can end the script."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
