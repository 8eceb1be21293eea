"""The lab's plain pages: a document with the masthead's place, a place to draw in, and facts as JSON.

Library and Status are not gradio's: nothing on them is an input of a model, they are drawn from /lab/api. As
`Blocks.route` pages they would keep Explore's title and load all of gradio first: a page of nothing but the masthead
took 1.7 to 2.7 s and 43 requests that way, .3 s and 4 requests as a document (2 cores, Chromium).
"""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from app import plotly_js

STYLES = ("lab", "shell")


def document(module: str, title: str, facts: Mapping[str, Any] | None = None, *, styles: Sequence[str] = STYLES) -> str:
    """The HTML of a page that assets/js/<module>.js draws. `facts` is anything that can be JSON."""
    links = "".join(f'<link rel="stylesheet" href="lab/css/{name}.css">' for name in styles)
    # In a script element only "<" could end the element or begin a comment.
    told = json.dumps(facts or {}, allow_nan=False).replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<meta name="lab-plotly" content="{plotly_js.address()}">'
        f'<title>{escape(title)} - Noise Search Lab</title><link rel="icon" href="data:,">{links}'
        '<script src="lab/js/theme.js"></script></head>'
        '<body class="lab-page"><div id="masthead"><header class="lab-masthead"></header></div>'
        f'<main id="page" class="lab-{module}"></main>'
        "<noscript>This page is drawn by a script, and scripts are switched off here.</noscript>"
        f'<script id="facts" type="application/json">{told}</script>'
        f'<script type="module" src="lab/js/{module}.js"></script></body></html>'
    )
