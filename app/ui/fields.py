"""The form's fields as gradio components, what links them, and how they are filled.

Filling goes through the page's own script (assets/js/form.js): it alone knows which fields a person has touched since
the page was drawn, and those stay as they are. The script also asks for the estimate as fields change.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.ui import form
from app.ui.components.drawn import drawn, message

if TYPE_CHECKING:
    from app.services import Lab

QUIET = {"queue": False, "concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}


class Fields:
    """What the form offers, and what a choice in it changes elsewhere."""

    def __init__(self, lab: "Lab"):
        """`lab` says what it has to offer."""
        self.lab = lab

    @property
    def offers(self) -> Mapping[str, Any]:
        """What the lab has to offer now: models are trained while it runs."""
        return self.lab.options()

    @property
    def titles(self) -> dict[str, str]:
        """Titles of models and rewards by name."""
        offers = self.offers
        return {one["name"]: one["title"] for kind in ("rewards", "models") for one in offers[kind]}

    def filled(self, values: Mapping[str, Any]) -> str:
        """The message that fills the form: see `form.filling`."""
        return message("fill", **_drawn_with(), **form.filling(values, self.lab.options(values["model"])))

    def choices(self, kind: str) -> list[tuple[str, str]]:
        """(title, name) of what can be chosen."""
        return form.titled(self.offers[kind])

    def help(self, kind: str, name: Any) -> str:
        """What an option is, and why it cannot be used here where it cannot."""
        return form.help_of(self.offers[kind], name)

    def preset_chosen(self, name: str) -> list[Any]:
        """Put a preset's settings into the fields it decides, and its help under it."""
        values = form.preset_values(name)
        told = [gr.Dropdown(info=self.help("presets", name))]
        return told + [values.get(field, gr.skip()) for field in form.FOLLOWS["preset"]]

    def model_chosen(self, name: str) -> list[Any]:
        """Put the model's help under it and its usual guidance into that field: FLUX and SD3 differ."""
        usual = [
            one["guidance_scale"] for one in self.offers["models"] if one["name"] == name and "guidance_scale" in one
        ]
        return [gr.Dropdown(info=self.help("models", name)), usual[0] if usual else gr.skip()]

    def reward_chosen(self, name: str) -> list[Any]:
        """Put the reward's help under it; it is climbed alone then."""
        return [gr.Dropdown(info=self.help("rewards", name)), ""]


def main_fields(page: Fields) -> dict[str, Any]:
    """The four fields everyone sees, with examples under the prompt."""
    values, labels = form.defaults(), form.BY_NAME
    prompt = gr.Textbox(values["prompt"], label=labels["prompt"].label, lines=2, max_lines=6, elem_id="field-prompt")
    examples = drawn("examples", list(form.EXAMPLES), elem_id="examples")
    examples.choose(None, None, prompt, js="() => [window.labExample]", **QUIET)
    chosen = {
        field: gr.Dropdown(
            page.choices(kind),
            value=values[field],
            label=labels[field].label,
            info=page.help(kind, values[field]),
            elem_id=labels[field].element,
        )
        for field, kind in form.OFFERED.items()
    }
    return {"prompt": prompt, **chosen}


def advanced_fields(page: Fields) -> dict[str, Any]:
    """Everything else, folded away, a sentence of help each."""
    values = form.defaults()
    many = {
        "watched": page.choices("rewards"),
        "arms": [(label, arm) for arm, label in form.ARM_LABELS.items()],
    }
    made: dict[str, Any] = {}
    for field in (one for one in form.FIELDS if one.advanced):
        common = {"label": field.label, "info": field.help, "elem_id": field.element}
        value = values[field.name]
        if field.kind == "choice":
            named = [(name.replace("_", " "), name) for name in form.choices_of(field.name)]
            made[field.name] = gr.Dropdown(named, value=value, **common)
        elif field.kind == "many":
            made[field.name] = gr.CheckboxGroup(many[field.name], value=value, **common)
        elif field.kind == "flag":
            made[field.name] = gr.Checkbox(value, **common)
        elif field.kind == "text":
            made[field.name] = gr.Textbox(value, lines=1, max_lines=3, **common)
        else:
            made[field.name] = gr.Number(value, **common)
    return made


def link(page: Fields, fields: Mapping[str, Any], filler: gr.HTML) -> None:
    """What a choice changes elsewhere in the form, and how `filler`'s script fills it and hears of changes.

    Only a person's choice changes other fields: filling the form must not.
    """
    for name, chosen in (
        ("preset", page.preset_chosen),
        ("model", page.model_chosen),
        ("reward", page.reward_chosen),
    ):
        changed = [fields[name], *(fields[other] for other in form.FOLLOWS[name])]
        fields[name].input(chosen, fields[name], changed, preprocess=False, **QUIET)  # it may be newer than the page
    inputs = [fields[name] for name in form.NAMES]
    filler.choose(None, inputs, inputs, js="(...now) => window.labFill(now)", **QUIET)
    filler.wake(None, inputs, None, js="(...now) => { window.labChanged(now); return []; }", **QUIET)
    changes = [component.change for component in inputs]
    gr.on(changes, None, inputs, None, js="(...now) => { window.labChanged?.(now); return []; }", **QUIET)


def filler() -> gr.HTML:
    """The line that says what a run will cost; its script also fills the form."""
    return drawn("form", _drawn_with(), elem_id="estimate")


def _drawn_with() -> dict[str, Any]:
    """What the script must know to see which fields were touched. In every message: it may start with any of them."""
    return {"names": form.NAMES, "initial": form.defaults(), "follows": form.FOLLOWS}
