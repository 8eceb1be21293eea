"""A real lab over a temporary folder, with sessions put there through the storage's own functions: no model, no worker.

What a worker would do to a job is done by hand: claim it, record something, end it.
"""

import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.measuring import MeasureRecorder
from app.reliability_science import headline_of
from app.services import Lab
from app.settings import Settings
from core.config import PRESETS, ExploreConfig
from core.events import ArmFinished, Cost, SessionFinished, SessionStarted
from core.measure_config import MeasureConfig
from core.schedule import shifted
from storage import jobs, records, reliability, sessions
from tests.fakes import FakeModel, fake_measure, fake_schedule

SIGMAS = shifted(10)


@dataclass
class Kept:
    """The lab, and the claims that its one pretended worker holds."""

    lab: Lab
    claims: dict[str, jobs.Claim] = field(default_factory=dict)

    def finished(
        self, prompt: str, *, rewards: Mapping[str, float] | None = None, seconds: float = 6.5, **about: Any
    ) -> str:
        """A session that has ended, with an arm for each of `rewards`; `about` is its name, preset, star, note."""
        record_id = self._record(prompt, **about)
        with self.lab.database.write() as tx:
            for arm, value in (rewards or {}).items():
                sessions.save_arm(tx, record_id, _arm(arm, value), self._tensor(), self.picture(prompt + arm))
            sessions.save_finished(tx, record_id, SessionFinished(Cost(220, 101, 101, seconds)))
        return record_id

    def measured(self, prompt: str) -> str:
        """A reliability measurement that waits for nobody: a record of another kind."""
        with self.lab.database.write() as tx:
            return reliability.create(tx, MeasureConfig((prompt,)))

    def measurement(self, prompts: Sequence[str], *, rows: int | None = None, end: bool = True, **changes: Any) -> str:
        """A measurement of the fake model with so many finished rows, all of them where it is not said.

        Its job is claimed, and with `end` it is over; else it runs, and `measure_on` goes on with it.
        """
        rewards = {"shapes-clip": 1.0, "shapes-verifier": 0.0}
        base = ExploreConfig("-", num_steps=6, rewards=rewards)
        settings = {"base": base, "num_siblings": 12, "estimates": ("literal", "sde", "3-step")} | changes
        config = MeasureConfig(tuple(prompts), **settings)
        with self.lab.database.write() as tx:
            record_id = reliability.create(tx, config)
            jobs.enqueue(tx, kind=jobs.MEASURE, record_id=record_id, lane="batch")
        self.claim_measurement(record_id)
        self.measure_on(record_id, len(config.pairs) if rows is None else rows, end=end)
        return record_id

    def claim_measurement(self, record_id: str) -> None:
        """Begin a measurement that is the next in its lane."""
        with self.lab.database.write() as tx:
            claim = jobs.claim(tx, lane="batch", owner="measurer-of-the-test", lease_seconds=3600)
        assert claim and claim.record_id == record_id
        self.claims[record_id] = claim

    def measure_on(self, record_id: str, rows: int, *, end: bool = False, steps: int | None = None) -> None:
        """Finish so many more rows of a measurement that runs; with `steps` only so many steps of them."""
        recorder = MeasureRecorder(self.lab.database, self.lab.artifacts, record_id, self.claims[record_id])
        config, done = recorder.config, recorder.done_rows
        recorder.begin(fake_schedule(config, FakeModel()))
        wanted = [row for row in range(len(config.pairs)) if row not in done][:rows]
        left = frozenset(range(len(config.pairs))) - set(wanted)
        for event in fake_measure(config, FakeModel(), {}, done=left):
            if steps is None or event.step < steps:
                recorder.record(event)
        if end:
            recorder.finish(headline_of(self.lab.database, record_id))
            self.claims.pop(record_id)

    def waiting(self, prompt: str, **about: Any) -> str:
        """A session whose job waits."""
        record_id = self._record(prompt, **about)
        with self.lab.database.write() as tx:
            jobs.enqueue(tx, kind="explore", record_id=record_id)
        return record_id

    def run_next(self) -> str:
        """Claim the next job; returns its session."""
        with self.lab.database.write() as tx:
            claim = jobs.claim(tx, lane="interactive", owner="worker-of-the-test", lease_seconds=3600)
            assert claim
            noise = np.zeros((1, 4, 2, 2), np.float32)
            flat = (0.5,) * 10
            started = SessionStarted(SIGMAS, (False,) * 10, flat, flat, (4, 2, 2), noise)
            sessions.save_started(tx, claim.record_id, started, self._tensor())
            jobs.append_event(tx, claim, "session")
        self.claims[claim.record_id] = claim
        return claim.record_id

    def end(self, record_id: str, status: str = "succeeded", error: str | None = None) -> None:
        """End the job of a session that runs."""
        with self.lab.database.write() as tx:
            jobs.finish(tx, self.claims.pop(record_id), status, error)

    def pause(self, record_id: str) -> None:
        """Give a running session's job back as paused."""
        with self.lab.database.write() as tx:
            jobs.release(tx, self.claims.pop(record_id), "paused")

    def listed(self, **asked: str) -> list[dict[str, Any]]:
        """The library's records."""
        found: list[dict[str, Any]] = self.lab.records(**asked)["records"]
        return found

    def queued(self) -> list[str]:
        """Prompts of what runs, waits and is paused, in the queue's order."""
        return [job["prompt"] for job in self.lab.queue()["jobs"]]

    def picture(self, about: str) -> str:
        """A small picture of its own for a text."""
        made = io.BytesIO()
        Image.new("RGB", (16, 16), zlib.crc32(about.encode()) & 0xFFFFFF).save(made, "PNG")
        return self.lab.artifacts.put(made.getvalue(), "png")

    def _record(
        self, prompt: str, *, name: str | None = None, preset: str = "smart-grpo", star: bool = False, note: str = ""
    ) -> str:
        config = ExploreConfig(prompt, search=PRESETS[preset], arms=("no_search", "ode"))
        with self.lab.database.write() as tx:
            record_id = sessions.create(tx, config, name=name)
            records.change_record(tx, record_id, {"star": star, "note": note})
        return record_id

    def _tensor(self) -> str:
        return self.lab.artifacts.put_tensor(np.zeros(4, np.float32))


def open_kept(folder: Path) -> Kept:
    """A fresh lab without the recorded session."""
    return Kept(Lab(Settings(folder, recorded=None)))


class Stage:
    """What a site is served over when many tests share it: stands for the lab that the test under way put there."""

    def __init__(self) -> None:
        self.lab: Lab | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["lab"], name)


def _arm(arm: str, value: float) -> ArmFinished:
    picture = np.zeros((8, 8, 3), np.uint8)
    scores = {"shapes-clip": value, "shapes-verifier": 0.5}
    return ArmFinished(arm, picture, scores, 1, (), np.zeros((1, 4, 2, 2), np.float32), Cost(20, 1, 1, 0.5))
