"""Page Explore: start a noise search and watch it, step by step.

The form is gradio's. The session is drawn in the browser by assets/js/session.js from the JSON of `Lab.session_view`;
which session is open and how far it has been drawn is known to the page alone, and it tells both with every poll.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.ui import form
from app.ui.components.drawn import drawn, message, pack
from app.ui.fields import Fields, advanced_fields, filler, link, main_fields
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
        self.fields = Fields(lab)

    def opened(self, request: gr.Request) -> list[Any]:
        """On load: the session named in the address with its settings, else the usual one and the usual settings."""
        asked, view, notice = request.query_params.get("session"), None, None
        try:
            view = self.lab.session_view(asked) if asked else None
        except LabError as error:
            notice = str(error)
        named, astray = view is not None, notice and asked
        if view is None and (usual := self.lab.default_record()):
            view = self.lab.session_view(usual)
        if view is None:
            empty = message("empty", notice=notice, astray=astray)
            return [empty, self.fields.filled(form.defaults()), gr.Timer(active=False)]
        if notice:
            notice += f". Shown instead: \u201c{view['prompt']}\u201d, session {view['id']}"
        filled = form.from_config(view["config"]) if named else form.defaults() | {"prompt": view["prompt"]}
        first = "" if asked else "recorded" if self.lab.came_with_lab(view["id"]) else "newest"
        told = {"titles": self.fields.titles, "notice": notice, "first": first, "astray": astray}
        opened = message("open", view=view, **told)
        return [opened, self.fields.filled(filled), gr.Timer(active=_moving(view))]

    def run(self, *filled: Any) -> list[Any]:
        """Start a session from the form. Bad fields come back as problems beside it; nothing filled in is lost."""
        try:
            record = self.lab.start_session(form.to_config(dict(zip(form.NAMES, filled, strict=True))))
            opened = message("open", view=self.lab.session_view(record), titles=self.fields.titles, mine=True)
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
                main = main_fields(page.fields)
                estimate = filler()
                run = gr.Button("Run", variant="primary", size="lg", elem_id="run")
                problems = drawn("problems", elem_id="problems")
                with gr.Accordion("Advanced", open=False, elem_id="advanced") as advanced:
                    folded = advanced_fields(page.fields)
            with gr.Column(elem_id="stage", scale=1, min_width=300):
                session = drawn("session", elem_id="session")
        fields = main | folded
        inputs = [fields[name] for name in form.NAMES]
        cursor = gr.Textbox(visible=False)
        timer = gr.Timer(POLL_SECONDS, active=False)

        blocks.load(page.opened, None, [session, estimate, timer], **PRIVATE)
        started = {"fn": page.run, "inputs": inputs, "outputs": [session, problems, advanced, timer], **QUIET}
        started["preprocess"] = False  # whatever was sent is told in the form's own words
        run.click(**started, api_name="run")
        fields["prompt"].submit(**started, api_visibility="private")
        timer.tick(page.poll, cursor, [session, timer], js="() => [window.labCursor?.() ?? '']", **PRIVATE)
        session.command(page.command, None, [session, timer], **PRIVATE)
        session.wake(lambda: gr.Timer(active=True), None, timer, **PRIVATE)
        link(page.fields, fields, estimate)
    return blocks
