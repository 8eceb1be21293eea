"""Components whose content a script of ours draws from JSON, with text nodes only.

`gr.HTML` would put a value into its template as markup; these have an empty template and hand their value to a module
under assets/js instead. A value is a JSON string, so that the page compares and copies it as one piece.
"""

import json
import time
from typing import Any

import gradio as gr

# Names of events must stand here in quotes: gradio reads the script to know which ones there are.
_MOUNT = """
const events = ['command', 'wake', 'choose'];
import(new URL('lab/js/%s.js', document.baseURI).href)
  .then(module => module.mount({
    element, props, watch, trigger: (name, data) => events.includes(name) && trigger(name, data),
  }));
"""


def drawn(module: str, value: Any = None, *, elem_id: str, **props: Any) -> gr.HTML:
    """An empty element that the module assets/js/<module>.js fills: its `mount` gets element, props, watch, trigger.

    `value` is anything that can be JSON, or None for nothing yet. (A function and not a subclass: gradio writes a .pyi
    file beside every subclass of a component.)
    """
    return gr.HTML(
        value=pack(value),
        html_template=f"<div class='lab-{module}'></div>",
        js_on_load=_MOUNT % module,
        apply_default_css=False,
        elem_id=elem_id,
        **props,
    )


def pack(value: Any) -> str:
    """A value for a drawn component. NaN is refused, since JSON has none.

    "<" is written as its JSON escape: the string passes through places that look for markup.
    """
    if value is None:
        return ""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def message(kind: str, **content: Any) -> str:
    """A message for the session's drawing; two equal ones sent one after the other are still two."""
    return pack({"kind": kind, "at": time.monotonic_ns(), **content})
