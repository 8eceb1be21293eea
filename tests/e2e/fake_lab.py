"""A lab that lives in memory: the methods the pages call, over sessions that grow by themselves.

The pictures are drawn scenes under noise and the rewards are made up, so a page can be driven through a whole search in
a second without a model. It keeps the states and refusals of the real one.
"""

import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core import config as settings
from core.errors import StorageError
from core.shapes import scenes
from storage.artifacts import Artifacts
from storage.engine import open_database
from tests.e2e import fake_growth

REWARDS = {
    "shapes-clip": ("Shapes CLIP", "A small learned judge of picture and prompt. It can be fooled."),
    "shapes-verifier": ("Verifier", "Finds the shapes and checks them against the prompt, with partial credit."),
    "jpeg-compressibility": ("JPEG size", "Minus the picture's size as a JPEG, in kB."),
}

ROW_KEYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "iterations": lambda row: (row["step"], row["iteration"]),
    "steps": lambda row: row["step"],
    "arms": lambda row: row["arm"],
    "finishes": lambda row: (row["step"], row["iteration"], row["candidate"]),
}

RECORDED = settings.ExploreConfig("a photo of a red circle left of a blue star")


@dataclass
class Session:
    """One growing session: its view, and what was asked of it."""

    view: dict[str, Any]
    config: settings.ExploreConfig
    mode: str = "run"
    changed: threading.Condition = field(default_factory=threading.Condition)
    stamps: dict[tuple[str, Any], int] = field(default_factory=dict)

    def touch(self, kind: str, key: Any) -> None:
        """Remember that a row is about to change: it belongs to the next seq."""
        self.stamps[kind, key] = self.view["seq"] + 1


class FakeLab:
    """`delay` seconds pass between two events; candidates named in `broken` (step, iteration, k) have no reward.

    A session with more than `detailed` candidates tells them only at its newest step. `finish_seconds` pass until a
    candidate is finished.
    """

    def __init__(
        self,
        folder: Path,
        *,
        delay: float = 0.02,
        broken: frozenset[tuple[int, int, int]] = frozenset(),
        recorded: settings.ExploreConfig | None = RECORDED,
        detailed: int = 4000,
        finish_seconds: float = 0.3,
    ):
        self.artifacts = Artifacts(folder)
        self.database = open_database(folder / "empty.sqlite", migrate=True)  # nothing was measured
        self.delay = delay
        self.broken = broken
        self.detailed = detailed
        self.finish_seconds = finish_seconds
        self.sessions: dict[str, Session] = {}
        self.commands: list[tuple[str, str]] = []
        if recorded:
            self.recorded = self._add(recorded)
            self._run(self.recorded, at_once=True)
        else:
            self.recorded = None

    # What pages call

    def start_session(self, config: dict[str, Any]) -> str:
        """Validate and begin."""
        record_id = self._add(settings.from_dict(config))
        threading.Thread(target=self._run, args=(record_id,), daemon=True).start()
        return record_id

    def command(
        self,
        record_id: str,
        kind: str,
        payload: dict[str, Any] | None = None,
        expected_step: int | None = None,
        expected_iteration: int | None = None,
    ) -> None:
        """Pause, step, continue, cancel, elites."""
        session = self._session(record_id)
        self.commands.append((record_id, kind))
        with session.changed:
            if session.view["job"]["status"] in ("succeeded", "cancelled", "failed"):
                raise StorageError("this session has already ended")
            if kind == "elites":
                row = session.view["iterations"][-1]
                session.touch("iterations", (row["step"], row["iteration"]))
                row["elites"] = (payload or {})["elites"]
                self._mark(session)
                return
            session.mode = {"pause": "pausing", "step": "stepping", "continue": "run", "cancel": "cancel"}[kind]
            self._mark(session, job={"mode": session.mode if session.mode != "cancel" else "run"})
            session.changed.notify_all()

    def session_view(self, record_id: str, after_seq: int | None = None) -> dict[str, Any] | None:
        """The view, what changed after `after_seq` (partial), or None when nothing did."""
        session = self._session(record_id)
        with session.changed:
            if after_seq is not None and session.view["seq"] <= after_seq:
                return None
            view = json.loads(json.dumps(session.view))
            stamps = dict(session.stamps)
        for kind, key in ROW_KEYS.items() if after_seq is not None else ():
            view[kind] = [row for row in view[kind] if stamps[kind, key(row)] > (after_seq or 0)]
        view["partial"] = after_seq is not None
        return self._without_detail(view)

    def step_detail(self, record_id: str, step: int | str) -> dict[str, Any]:
        """One step's iterations with all their candidates."""
        session = self._session(record_id)
        with session.changed:
            rows = [row for row in session.view["iterations"] if row["step"] == int(step)]
        return {"step": int(step), "iterations": rows}

    def charted(self, record_id: str, step: int) -> dict[str, Any]:
        """The view for one step's charts; all candidates of this small lab are in it."""
        session = self._session(record_id)
        with session.changed:
            return json.loads(json.dumps(session.view))

    def finish(self, record_id: str, step: int, iteration: int, candidates: list[int]) -> int:
        """Roll candidates out, one after another, in a while."""
        session = self._session(record_id)
        with session.changed:
            session.view["finishing"].append({"step": step, "iteration": iteration, "candidates": list(candidates)})
            self._mark(session)
        asked = (session, step, iteration, list(candidates))
        threading.Thread(target=fake_growth.finish, args=(self, *asked), daemon=True).start()
        return len(candidates)

    def queue(self) -> dict[str, Any]:
        """The sessions under way, running first."""
        rank = {"running": 0, "pending": 1, "paused": 2}
        live = [session.view for session in list(self.sessions.values()) if session.view["state"] in rank]
        keys = ("kind", "name", "prompt", "state", "created")
        told = [
            {key: view[key] for key in keys}
            | {"job_id": view["id"], "record_id": view["id"], "picture": None, "position": index + 1, "mode": "run"}
            | {"progress": None, "seconds_left": None}
            for index, view in enumerate(sorted(live, key=lambda view: rank[view["state"]]))
        ]
        return {"jobs": told, "finished": []}

    def recent(self, limit: int = 20) -> list[dict[str, Any]]:
        """Newest first."""
        keys = ("id", "name", "kind", "prompt", "preset", "model", "state", "created")
        return [{k: s.view[k] for k in keys} for s in list(self.sessions.values())[::-1][:limit]]

    def default_record(self) -> str | None:
        """What a first visit sees."""
        return self.recorded

    def came_with_lab(self, record_id: str) -> bool:
        """Whether it was recorded beforehand: it has no job."""
        return record_id == self.recorded and self.sessions[record_id].view["job"] is None

    def artifact_path(self, name: str) -> Path:
        """Where a picture lies."""
        return self.artifacts.path(name)

    def read_config(self, plain: dict[str, Any]) -> settings.ExploreConfig:
        """Everything can be used here."""
        return settings.from_dict(plain)

    def options(self, model: str | None = None) -> dict[str, list[dict[str, Any]]]:
        """What the form offers."""

        def option(name: str, title: str, text: str, why_not: str = "") -> dict[str, Any]:
            return {"name": name, "title": title, "help": text, "usable": not why_not, "why_not": why_not}

        return {
            "models": [
                option("shapes-sd3", "Shapes SD3", "The model that came with the lab: coloured shapes, 64 x 64."),
                option(
                    "sd3.5-medium",
                    "Stable Diffusion 3.5 Medium",
                    "The paper's model.",
                    "its weights are not on this machine",
                ),
            ],
            "rewards": [option(name, *text) for name, text in REWARDS.items()],
            "presets": [option(name, name, settings.PRESET_HELP[name]) for name in settings.PRESETS],
        }

    def cost_estimate(self, config: dict[str, Any]) -> dict[str, Any]:
        """What a run would spend."""
        c = settings.from_dict(config)
        searched = sum(c.window_min <= s <= c.window_max for s in fake_growth.SIGMAS[:-1])
        search = 2 * c.num_steps + 2 * searched * c.search.num_candidates * c.search.num_iterations
        return {"nfe": search + 20 * len(c.arms), "search_nfe": search}

    def measured_rate(self, model: str) -> float | None:
        """Seconds an evaluation took, once something ran."""
        return 0.05 if self.sessions else None

    def config_of(self, record_id: str) -> settings.ExploreConfig:
        """What a session was asked to do."""
        return self._session(record_id).config

    def place_of_picture(self, record_id: str, name: str, hint: dict[str, Any]) -> dict[str, Any] | None:
        """Where in a session a picture stands."""
        view = self._session(record_id).view
        places = [({"arm": row["arm"]}, row["image"]) for row in view["arms"]]
        places += [
            ({"step": row["step"], "iteration": row["iteration"], "candidate": index}, image)
            for row in view["iterations"]
            for index, image in enumerate(row["images"])
        ]
        places += [({"step": row["step"]}, row["image"]) for row in view["steps"]]
        fitting = [place for place, image in places if image == name and hint.items() <= place.items()]
        return fitting[0] if fitting else None

    # How a session grows

    def _session(self, record_id: str) -> Session:
        if record_id not in self.sessions:
            raise StorageError(f"there is no session {record_id!r}")
        return self.sessions[record_id]

    def _add(self, config: settings.ExploreConfig) -> str:
        record_id = f"s{len(self.sessions) + 1:05d}"
        view = {
            "id": record_id,
            "name": None,
            "kind": "explore",
            "prompt": config.prompt,
            "preset": config.search.preset,
            "model": config.model,
            "state": "pending",
            "error": None,
            "caution": None,
            "created": datetime.now(UTC).isoformat(),
            "config": settings.to_dict(config),
            "sigmas": [],
            "searched": [],
            "step_std": [],
            "excess_std": [],
            "steps": [],
            "iterations": [],
            "arms": [],
            "cost": {"nfe": 0, "decodes": 0, "reward_calls": 0, "seconds": 0.0},
            "finishes": [],
            "finishing": [],
            "star": False,
            "note": "",
            "locked": False,
            "deleted": False,
            "parent": None,
            "job": {"id": 1, "status": "pending", "attempt": 1, "error": None, "queue_position": 1, "mode": "run"},
            "seq": 1,
        }
        self.sessions[record_id] = Session(view, config)
        return record_id

    def _without_detail(self, view: dict[str, Any]) -> dict[str, Any]:
        """Large sessions tell candidates only at their newest step."""
        steps = sorted({row["step"] for row in view["iterations"]})
        large = sum(row["num_candidates"] for row in view["iterations"]) > self.detailed
        view["detail"] = steps[-1:] if large else steps
        for row in view["iterations"]:
            if row["step"] not in view["detail"]:
                for name in ("images", "rewards", "total", "norms", "kurtosis"):
                    del row[name]
        return view

    def _mark(self, session: Session, job: dict[str, Any] | None = None, **values: Any) -> None:
        session.view["job"] |= job or {}
        session.view.update(values)
        session.view["seq"] += 1

    def _run(self, record_id: str, at_once: bool = False) -> None:
        session = self.sessions[record_id]
        time.sleep(0 if at_once else self.delay)
        for change in fake_growth.events(self, session):
            with session.changed:
                change()
                self._mark(session, {"status": "running"}, state="running")
                stepped = session.mode == "stepping"
                if session.mode in ("pausing", "stepping"):
                    session.mode = "paused"
                    self._mark(session, {"status": "paused", "mode": "paused"}, state="paused")
                session.changed.wait_for(lambda: session.mode != "paused")
                if session.mode == "cancel":
                    self._mark(session, {"status": "cancelled"}, state="cancelled")
                    return
                if not stepped:
                    self._mark(session, {"status": "running"}, state="running")
            time.sleep(0 if at_once else self.delay)
        with session.changed:
            self._mark(session, {"status": "succeeded"}, state="succeeded")

    def keep_picture(self, prompt: str, seed: int, noise: float, jitter: float) -> str:
        """Draw the prompt's scene (any scene for other sentences) under noise and keep it; returns its name."""
        rng = np.random.default_rng(seed)
        caption = scenes.parse_caption(prompt) or scenes.sample_caption(np.random.default_rng(len(prompt)), "position")
        scene = scenes.sample_scene(np.random.default_rng(seed if jitter > 0.5 else 5), caption)
        picture = scenes.draw(scene).astype(float)
        cloudy = np.kron(rng.normal(0, 90, (8, 8, 3)), np.ones((8, 8, 1))) * noise
        picture = picture * (1 - noise * 0.6) + 150 * noise * 0.6 + cloudy + rng.normal(0, 60, picture.shape) * noise
        buffer = io.BytesIO()
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(buffer, "webp", quality=80)
        return self.artifacts.put(buffer.getvalue(), "webp")
