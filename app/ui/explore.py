"""Page Explore: start a noise search and watch it, step by step.

The form is gradio's. The session is drawn in the browser by assets/js/session.js from the JSON of `Lab.session_view`;
which session is open and how far it has been drawn is known to the page alone, and it tells both with every poll.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.ui import form
from app.ui.components.drawn import drawn, message, pack
from core.config import ESTIMATORS, READINGS, RESULT_MODES, STEP_KINDS
from core.errors import ConfigError, LabError

if TYPE_CHECKING:
    from app.services import Lab

POLL_SECONDS = 0.3
LIVE = ("pending", "running", "paused")
COMMANDS = ("pause", "step", "continue", "cancel", "elites")
QUIET = {"queue": False, "concurrency_limit": None, "show_progress": "hidden"}
PRIVATE = {**QUIET, "api_visibility": "private"}


class ExplorePage:
    """What the page's events do, over the lab's services. Keeps no state: the browser knows where it stands."""

    def __init__(self, lab: "Lab"):
        """`lab` answers for storage and jobs."""
        self.lab = lab
        self.offers = lab.options()
        self.titles = {one["name"]: one["title"] for kind in ("rewards", "models") for one in self.offers[kind]}

    def opened(self, request: gr.Request) -> list[Any]:
        """On load: the session named in the address with its settings, else the usual one and the usual settings."""
        asked, view, notice = request.query_params.get("session"), None, None
        try:
            view = self.lab.session_view(asked) if asked else None
        except LabError as error:
            notice = str(error)
        named = view is not None
        if view is None and (usual := self.lab.default_record()):
            view = self.lab.session_view(usual)
        if view is None:
            return [message("empty", notice=notice), *self._filled(form.defaults()), gr.Timer(active=False)]
        if notice:
            notice += f". Shown instead: \u201c{view['prompt']}\u201d, session {view['id']}"
        filled = form.from_config(view["config"]) if named else form.defaults() | {"prompt": view["prompt"]}
        opened = message("open", view=view, titles=self.titles, notice=notice, first=not asked)
        return [opened, *self._filled(filled), gr.Timer(active=_moving(view))]

    def run(self, *filled: Any) -> list[Any]:
        """Start a session from the form. Bad fields come back as problems beside it; nothing filled in is lost."""
        try:
            record = self.lab.start_session(form.to_config(dict(zip(form.NAMES, filled, strict=True))))
            opened = message("open", view=self.lab.session_view(record), titles=self.titles, mine=True)
        except ConfigError as error:
            listed = form.explain(error.problems)
            folded = gr.Accordion(open=True) if any(one["advanced"] for one in listed) else gr.skip()
            return [gr.skip(), pack(listed), folded, gr.skip()]
        except LabError as error:
            return [gr.skip(), pack(form.explain({"": str(error)})), gr.skip(), gr.skip()]
        return [opened, pack([]), gr.skip(), gr.Timer(active=True)]

    def poll(self, cursor: str) -> list[Any]:
        """What came after the page's cursor ("record seq"); says nothing when nothing did."""
        record, _, seq = (cursor or "").rpartition(" ")
        if not record:
            return [gr.skip(), gr.Timer(active=False)]
        try:
            view = self.lab.session_view(record, int(seq) if seq.isdecimal() else None)
        except LabError as error:
            return [message("notice", record=record, text=str(error)), gr.Timer(active=False)]
        if view is None:
            return [gr.skip(), gr.skip()]
        return [message("update", view=view), gr.skip() if _moving(view) else gr.Timer(active=False)]

    def command(self, event: gr.EventData) -> list[Any]:
        """Pause, step, continue or stop the session that the page shows, with what it was looking at, or choose elites.

        `elites` carries the kept ones as its payload, and in `then` what is to follow. One that has ended by then is
        just shown as it ended.
        """
        asked = event._data if isinstance(event._data, Mapping) else {}
        record, kind = asked.get("record"), asked.get("kind")
        if not isinstance(record, str) or kind not in COMMANDS:
            return [gr.skip(), gr.skip()]
        seen = {"expected_step": asked.get("step"), "expected_iteration": asked.get("iteration")}
        refused = None
        try:
            if kind == "elites":
                self._keep(record, asked, seen)
            else:
                self.lab.command(record, kind, **seen)
        except LabError as error:
            refused = str(error)
        try:
            view = self.lab.session_view(record)
        except LabError as error:
            return [message("notice", record=record, text=str(error)), gr.Timer(active=False)]
        live = view is not None and view["state"] in LIVE
        if refused and live:
            return [message("notice", record=record, text=refused), gr.Timer(active=True)]
        return [message("update", view=view), gr.Timer(active=live)]

    def _keep(self, record: str, asked: Mapping[str, Any], seen: dict[str, Any]) -> None:
        """Send hand-chosen elites and what follows them. Raises LabError, and sends neither, where they come too late.

        The worker checks again; but once it goes on it tells only of its latest command, so a choice that is already
        stale must not be followed by one that is not.
        """
        view = self.lab.session_view(record) or {}
        newest = (view.get("iterations") or [{}])[-1]
        if seen != {"expected_step": newest.get("step"), "expected_iteration": newest.get("iteration")}:
            raise LabError("the session has moved on: your choice was for an iteration that is past")
        payload = asked.get("payload")
        self.lab.command(record, "elites", payload if isinstance(payload, Mapping) else {}, **seen)
        if asked.get("then") in ("continue", "step"):
            self.lab.command(record, asked["then"], **(seen if asked["then"] == "step" else {}))

    def preset_chosen(self, name: str) -> list[Any]:
        """Put a preset's settings into the fields it decides, and its help under it."""
        values = form.preset_values(name)
        told = [gr.Dropdown(info=self.help("presets", name))]
        return told + [values.get(field, gr.skip()) for field in form.NAMES if field.startswith("search.")]

    def model_chosen(self, name: str) -> list[Any]:
        """Put the model's help under it and its usual guidance into that field: FLUX and SD3 differ."""
        usual = [
            one["guidance_scale"] for one in self.offers["models"] if one["name"] == name and "guidance_scale" in one
        ]
        return [gr.Dropdown(info=self.help("models", name)), usual[0] if usual else gr.skip()]

    def reward_chosen(self, name: str) -> Any:
        """Put the reward's help under it."""
        return gr.Dropdown(info=self.help("rewards", name))

    def choices(self, kind: str) -> list[tuple[str, str]]:
        """(title, name) of what can be chosen; what cannot run here says so in its title."""
        return [
            (one["title"] if one["usable"] else f"{one['title']} (cannot run here)", one["name"])
            for one in self.offers[kind]
        ]

    def help(self, kind: str, name: str) -> str:
        """What an option is, and why it cannot be used here where it cannot."""
        found = [one for one in self.offers[kind] if one["name"] == name]
        return " ".join(filter(None, (found[0]["help"], found[0]["why_not"]))) if found else ""

    def _filled(self, values: dict[str, Any]) -> list[Any]:
        """Updates for every field. A stored choice that is no longer offered falls back to the usual one."""
        usual = form.defaults()
        for field, kind in (("preset", "presets"), ("model", "models"), ("reward", "rewards")):
            if values[field] not in {one["name"] for one in self.offers[kind]}:
                values = values | {field: usual[field]}
        known = {one["name"] for one in self.offers["rewards"]}
        values = values | {"watched": [name for name in values["watched"] if name in known]}
        updates = {name: values[name] for name in form.NAMES}
        for field, kind in (("preset", "presets"), ("model", "models"), ("reward", "rewards")):
            updates[field] = gr.Dropdown(value=values[field], info=self.help(kind, values[field]))
        return [updates[name] for name in form.NAMES]


def _moving(view: Mapping[str, Any]) -> bool:
    """Whether there may be more to tell of a session soon."""
    return view["state"] in LIVE or bool(view.get("finishing"))


def build(lab: "Lab") -> gr.Blocks:
    """The page as gradio blocks, to be mounted at "/"."""
    page = ExplorePage(lab)
    with gr.Blocks(title="Noise Search Lab", analytics_enabled=False, fill_width=True) as blocks:
        drawn("masthead", elem_id="masthead")
        with gr.Row(elem_id="explore", equal_height=False):
            with gr.Column(elem_id="form", scale=0, min_width=300):
                main = _main_fields(page)
                run = gr.Button("Run", variant="primary", size="lg", elem_id="run")
                problems = drawn("problems", elem_id="problems")
                with gr.Accordion("Advanced", open=False, elem_id="advanced") as advanced:
                    folded = _advanced_fields(page)
            with gr.Column(elem_id="stage", scale=1, min_width=300):
                session = drawn("session", elem_id="session")
        fields = main | folded
        inputs = [fields[name] for name in form.NAMES]
        cursor = gr.Textbox(visible=False)
        timer = gr.Timer(POLL_SECONDS, active=False)

        blocks.load(page.opened, None, [session, *inputs, timer], **PRIVATE)
        started = {"fn": page.run, "inputs": inputs, "outputs": [session, problems, advanced, timer], **QUIET}
        run.click(**started, api_name="run")
        fields["prompt"].submit(**started, api_visibility="private")
        timer.tick(page.poll, cursor, [session, timer], js="() => [window.labCursor?.() ?? '']", **PRIVATE)
        session.command(page.command, None, [session, timer], **PRIVATE)
        session.wake(lambda: gr.Timer(active=True), None, timer, **PRIVATE)
        _link(page, fields)
    return blocks


def _main_fields(page: ExplorePage) -> dict[str, Any]:
    """The four fields everyone sees, with examples under the prompt."""
    values, labels = form.defaults(), form.BY_NAME
    prompt = gr.Textbox(values["prompt"], label=labels["prompt"].label, lines=2, max_lines=6, elem_id="field-prompt")
    examples = drawn("examples", list(form.EXAMPLES), elem_id="examples")
    examples.choose(None, None, prompt, js="() => [window.labExample]", **PRIVATE)
    chosen = {
        field: gr.Dropdown(
            page.choices(kind),
            value=values[field],
            label=labels[field].label,
            info=page.help(kind, values[field]),
            elem_id=f"field-{field}",
        )
        for field, kind in (("preset", "presets"), ("model", "models"), ("reward", "rewards"))
    }
    return {"prompt": prompt, **chosen}


def _advanced_fields(page: ExplorePage) -> dict[str, Any]:
    """Everything else, folded away, a sentence of help each."""
    values = form.defaults()
    picks: dict[str, Sequence[str]] = {
        "step_kind": STEP_KINDS,
        "search.reading": READINGS,
        "search.result": RESULT_MODES,
        "estimator": ESTIMATORS,
    }
    many: dict[str, list[tuple[str, str]]] = {
        "watched": page.choices("rewards"),
        "arms": [(label, arm) for arm, label in form.ARM_LABELS.items()],
    }
    made: dict[str, Any] = {}
    for field in (one for one in form.FIELDS if one.advanced):
        common = {"label": field.label, "info": field.help, "elem_id": f"field-{field.name.replace('.', '-')}"}
        if field.name in picks:
            named = [(name.replace("_", " "), name) for name in picks[field.name]]
            made[field.name] = gr.Dropdown(named, value=values[field.name], **common)
        elif field.name in many:
            made[field.name] = gr.CheckboxGroup(many[field.name], value=values[field.name], **common)
        else:
            made[field.name] = gr.Number(values[field.name], **common)
    return made


def _link(page: ExplorePage, fields: Mapping[str, Any]) -> None:
    """What a choice changes elsewhere in the form. Only a person's choice does: filling the form must not."""
    searched = [fields[name] for name in form.NAMES if name.startswith("search.")]
    fields["preset"].input(page.preset_chosen, fields["preset"], [fields["preset"], *searched], **PRIVATE)
    fields["model"].input(page.model_chosen, fields["model"], [fields["model"], fields["guidance_scale"]], **PRIVATE)
    fields["reward"].input(page.reward_chosen, fields["reward"], fields["reward"], **PRIVATE)
