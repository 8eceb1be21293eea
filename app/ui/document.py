"""The lab's plain pages: a document with the masthead's place, a place to draw in, and facts as JSON.

Library and Status are not gradio's: nothing on them is an input of a model, they are drawn from /lab/api. As
`Blocks.route` pages they took 1.7 to 2.7 s and 43 requests until the masthead showed, kept Explore's title, and could
not share an event with it; as documents they take 0.3 s and a dozen small files (2 busy cores, Chromium).
"""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

STYLES = ("lab", "shell")


def document(module: str, title: str, facts: Mapping[str, Any] | None = None) -> str:
    """The HTML of a page that assets/js/<module>.js draws. `facts` is anything that can be JSON."""
    styles = "".join(f'<link rel="stylesheet" href="lab/css/{name}.css">' for name in STYLES)
    # In a script element only "<" could end the element or begin a comment.
    told = json.dumps(facts or {}, allow_nan=False).replace("<", "\\u003c")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<title>{escape(title)} - Noise Search Lab</title><link rel="icon" href="data:,">{styles}'
        '<script src="lab/js/theme.js"></script></head>'
        '<body class="lab-page"><div id="masthead"><header class="lab-masthead"></header></div>'
        f'<main id="page" class="lab-{module}"></main>'
        "<noscript>This page is drawn by a script, and scripts are switched off here.</noscript>"
        f'<script id="facts" type="application/json">{told}</script>'
        f'<script type="module" src="lab/js/{module}.js"></script></body></html>'
    )
