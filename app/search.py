"""`search`: one session in this process, through the same engine and recorder as a worker's, without the queue."""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from app import recorded
from app.environment import note_origin
from app.orders import name_of_step
from app.recorder import Files, Recorder
from app.running import running
from app.services import Lab
from app.toolbox import Toolbox, torch_toolbox
from core.config import ExploreConfig, to_dict
from core.events import (
    INITIAL,
    ArmFinished,
    ExploreEvent,
    IterationScored,
    SessionFinished,
    SessionStarted,
    StepCommitted,
)
from storage import sessions


class Lines:
    """Turns events into the plain objects that `--json` prints; an iteration is followed by its candidates."""

    def __init__(self, config: ExploreConfig, record_id: str):
        """Learns the schedule from the first event."""
        self.config = config
        self.record_id = record_id
        self.started: SessionStarted | None = None

    def of(self, event: ExploreEvent) -> Iterator[dict[str, Any]]:
        """The objects of one event."""
        match event:
            case SessionStarted():
                self.started = event
                yield {"event": "session", "id": self.record_id, "config": to_dict(self.config)}
            case IterationScored():
                yield from self._iteration(event)
            case StepCommitted():
                yield self._step(event)
            case ArmFinished():
                yield {"event": "outcome", "arm": event.arm, **self._rewards(event.rewards)} | _cost(event)

    def _iteration(self, event: IterationScored) -> Iterator[dict[str, Any]]:
        place = {"step": event.step, "iteration": event.iteration}
        yield {"event": "iteration", **place} | {
            "search_mean_norm": number(event.mean_norm),
            "search_std_median": number(event.std_quantiles[len(event.std_quantiles) // 2]),
            "mean_cosine": number(event.cosine),
            "nfe": event.cost.nfe,
        }
        for index, total in enumerate(event.total):
            yield {"event": "candidate", **place} | {
                "candidate": index,
                "reward": number(total),
                "rewards": {name: number(values[index]) for name, values in event.rewards.items()},
                "elite": index in event.elites,
                "noise_norm": number(event.norms[index]),
            }

    def _step(self, event: StepCommitted) -> dict[str, Any]:
        started = self.started
        if started is None:
            raise ValueError("a step before the session's start")
        first = event.step == INITIAL  # x_1 is chosen where the schedule begins, and no step is taken
        return {
            "event": "step",
            "step": event.step,
            "sigma": started.sigmas[max(0, event.step)],
            "sigma_next": started.sigmas[event.step + 1],
            "searched": first or started.searched[event.step],
            **self._rewards(event.rewards),
            "excess_noise": 0.0 if first else number(started.excess_std[event.step]),
        }

    def _rewards(self, rewards: Mapping[str, float]) -> dict[str, Any]:
        return {
            "reward": number(total_of(self.config, rewards)),
            "rewards": {name: number(value) for name, value in rewards.items()},
        }


def number(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None


def total_of(config: ExploreConfig, rewards: Mapping[str, float]) -> float:
    """The searched sum; rewards of weight 0 are only watched."""
    return sum(weight * rewards[name] for name, weight in config.rewards.items() if weight)


def search(
    lab: Lab,
    plain: Mapping[str, Any],
    *,
    as_json: bool,
    toolbox: Toolbox | None = None,
    keep_as: Path | None = None,
    out: TextIO | None = None,
) -> int:
    """Run a config to its end and print it; `keep_as` also writes it as a recording. Raises LabError."""
    out = out or sys.stdout
    config = lab.read_config(plain)
    tools = lab.with_trained(toolbox or torch_toolbox(lab.settings.device))
    tools.set_threads(config.threads)
    model = tools.load_model(config.model)
    rewards = {name: tools.load_reward(name) for name in config.rewards}
    with ExitStack() as held:
        with lab.database.write() as tx:
            record_id = sessions.create(tx, config)
            sessions.set_state(tx, record_id, "running")
            held.enter_context(running(lab.settings.data_dir, record_id))
        note_origin(lab.database, record_id, tools.device, config.threads)
        recorder = Recorder(lab.database, lab.artifacts, record_id)
        lines = Lines(config, record_id) if as_json else None
        arms: list[ArmFinished] = []
        described: list[dict[str, Any]] = []
        try:
            for event, files in _recorded(tools.explore(config, model, rewards), recorder, bar=not as_json):
                for line in lines.of(event) if lines else ():
                    print(json.dumps(line, allow_nan=False), file=out, flush=True)
                if isinstance(event, ArmFinished):
                    arms.append(event)
                if keep_as is not None:
                    described.append(recorded.describe(event, files))
        except BaseException as error:
            with lab.database.write() as tx:
                stopped = isinstance(error, KeyboardInterrupt)
                sessions.set_state(tx, record_id, "cancelled" if stopped else "failed", None if stopped else str(error))
            raise
    if keep_as is not None:
        recorded.write_recording(recorder, described, keep_as)
    if not as_json:
        print(table(config, arms), file=out)
        print(f"\nsession {record_id} is kept in {lab.settings.data_dir}; a lab that serves this folder", file=out)
        print(f"(`python -m app serve --data-dir {lab.settings.data_dir}`) shows it at /?session={record_id}", file=out)
    return 0


def _recorded(events: Iterable[ExploreEvent], recorder: Recorder, *, bar: bool) -> Iterator[tuple[ExploreEvent, Files]]:
    """The events once they are recorded, with a progress bar."""
    total = _events_of(recorder.config)
    with tqdm(total=total, disable=not bar, unit="", leave=False, file=sys.stderr) as progress:
        for event in events:
            files = recorder.keep(event)
            recorder.save(event, files)
            if isinstance(event, SessionStarted):
                progress.total = _events_of(recorder.config, event)
            _show(progress, event)
            yield event, files


def _events_of(config: ExploreConfig, started: SessionStarted | None = None) -> int:
    """How many events a session has; before it has started, without its search."""
    searched = (sum(started.searched) if started else 0) + config.searches_initial
    steps = config.num_steps + config.searches_initial
    return searched * config.search.num_iterations + steps + len(config.arms) + 3


def _show(bar: Any, event: ExploreEvent) -> None:
    match event:
        case IterationScored():
            best = max((value for value in event.total if math.isfinite(value)), default=math.nan)
            bar.set_description_str(f"{name_of_step(event.step)}, iteration {event.iteration + 1}, best {best:.3f}")
        case StepCommitted():
            bar.set_description_str(f"{name_of_step(event.step)} taken")
        case ArmFinished():
            bar.set_description_str(event.arm)
        case SessionFinished():
            pass
    bar.update(1)


def table(config: ExploreConfig, arms: list[ArmFinished]) -> str:
    """The arms under one another: the searched sum, every reward, and what it cost."""
    names = list(config.rewards)
    head = ["arm", "total", *names, "runs", "NFE", "decodes", "seconds"]
    rows = [
        [arm.arm, f"{total_of(config, arm.rewards):.4f}", *(f"{arm.rewards[name]:.4f}" for name in names)]
        + [str(arm.trajectories), str(arm.cost.nfe), str(arm.cost.decodes), f"{arm.cost.seconds:.1f}"]
        for arm in arms
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    aligned = [
        [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        for row in [head, *rows]
    ]
    return "\n".join("  ".join(row) for row in aligned)


def _cost(event: ArmFinished) -> dict[str, Any]:
    return {"nfe": event.cost.nfe, "decodes": event.cost.decodes, "seconds": event.cost.seconds}
