"""`reliability` with prompts: one measurement in this process, recorded as a worker's is, without the queue."""

import json
import math
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, TextIO

from tqdm import tqdm

from app.environment import note_origin
from app.measure_request import read_request
from app.measuring import MeasureRecorder
from app.running import running
from app.services import Lab
from app.toolbox import Toolbox, torch_toolbox
from core.events import Cost, SiblingsMeasured
from core.measure_config import MeasureConfig, to_dict
from core.reliability import FEWEST_PROMPTS
from storage import reliability, sessions

# What the last line of --json has of a page's view.
_ANALYSIS = (
    *("id", "sigmas", "steps", "estimates", "rewards", "optimised", "held_out", "primary", "curves", "proxies"),
    *("between", "realised", "hacking", "averaging", "window", "few_prompts", "sentence", "explore", "cost"),
)


def measure_here(
    lab: Lab, body: Mapping[str, Any], *, as_json: bool, toolbox: Toolbox | None = None, out: TextIO | None = None
) -> int:
    """Measure to the end and print what came out; with `as_json` a line a finished row, then the analysis.

    Raises LabError.
    """
    out = out or sys.stdout
    config = read_request(body, lab.usable)
    tools = lab.with_trained(toolbox or torch_toolbox(lab.settings.device))
    tools.set_threads(config.base.threads)
    model = tools.load_model(config.base.model)
    rewards = {name: tools.load_reward(name) for name in config.base.rewards}
    with ExitStack() as held:
        with lab.database.write() as tx:
            record_id = reliability.create(tx, config)
            sessions.set_state(tx, record_id, "running")
            held.enter_context(running(lab.settings.data_dir, record_id))
        if as_json:
            _tell(out, {"event": "measurement", "id": record_id, "config": to_dict(config)})
        try:
            note_origin(lab.database, record_id, tools.device, config.base.threads)
            recorder = MeasureRecorder(lab.database, lab.artifacts, record_id)
            recorder.begin(tools.schedule(config, model))
            with tqdm(total=_events_of(config), disable=as_json, unit="", leave=False, file=sys.stderr) as bar:
                spent = Cost()
                for event in tools.measure(config, model, rewards):
                    recorder.record(event)
                    spent += event.total_cost
                    bar.set_description_str(f"row {event.row + 1} of {len(config.pairs)}, step {event.step + 1}")
                    bar.update(1)
                    if as_json and event.step == config.measured_steps[-1]:
                        _tell(out, _row(event, config, spent))
            _finish(lab, recorder, as_json, out)
        except BaseException as error:
            with lab.database.write() as tx:
                stopped = isinstance(error, KeyboardInterrupt)
                sessions.set_state(tx, record_id, "cancelled" if stopped else "failed", None if stopped else str(error))
            raise
    return 0


def _events_of(config: MeasureConfig) -> int:
    return len(config.pairs) * len(config.measured_steps)


def _row(event: SiblingsMeasured, config: MeasureConfig, spent: Cost) -> dict[str, Any]:
    place = {"event": "row", "row": event.row, "rows": len(config.pairs), "prompt": event.prompt, "seed": event.seed}
    return place | {name: getattr(spent, name) for name in ("nfe", "decodes", "reward_calls", "seconds")}


def _finish(lab: Lab, recorder: MeasureRecorder, as_json: bool, out: TextIO) -> None:
    """Keep that it has ended, and print what it shows."""
    from app.measurements import Measurements
    from app.reliability_science import headline_of

    recorder.finish(headline_of(lab.database, recorder.record_id))
    view = Measurements(lab).view(recorder.record_id)
    if view is None:
        raise ValueError("a view without a cursor is never None")
    if as_json:
        _tell(out, {"event": "analysis"} | {name: view[name] for name in _ANALYSIS})
        return
    print(table(view), file=out)
    print(f"\nmeasurement {recorder.record_id} is kept in {lab.settings.data_dir}; a lab that serves this", file=out)
    print(f"folder shows it at /reliability?record={recorder.record_id}", file=out)


def _tell(out: TextIO, line: Mapping[str, Any]) -> None:
    print(json.dumps(line, allow_nan=False), file=out, flush=True)


def table(view: Mapping[str, Any]) -> str:
    """A measurement as text: a line a timestep, then what can be said of it."""
    primary, held = view["primary"], view["held_out"][:1]
    own = view["curves"][primary]["own"]
    others = [name for name in view["estimates"] if name != primary]
    head = [
        "step",
        "sigma",
        f"{primary} rho",
        "interval",
        "by chance",
        *others,
        "top-1",
        "efficiency",
        "spread",
        "gain",
    ]
    head += [f"best: {reward}" for reward in (view["optimised"], *held)]
    rows = [head]
    for index, one in enumerate(own):
        cells = [str(one["step"] + 1), _told(one["sigma"]), _told(one["spearman_median"])]
        cells += [_between(one, "spearman_low", "spearman_high"), _between(one, "null_low", "null_high")]
        cells += [_told(view["curves"][name]["own"][index]["spearman_median"]) for name in others]
        cells += [_told(one[name]) for name in ("top1", "selection_efficiency", "truth_std", "expected_gain")]
        cells += [_told(_realised(view, one["step"], reward)) for reward in (view["optimised"], *held)]
        rows.append(cells)
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    window = view["window"]
    advised = "nowhere"
    if window:
        advised = f"sigma from {window['low']:.3f} to {window['high']:.3f}, expected gain up to {window['gain']:.3f}"
    few = f"Too few prompts for an interval or a recommendation: at least {FEWEST_PROMPTS} are needed."
    said = [few] if view["few_prompts"] else [view["sentence"]] if view["sentence"] else []
    return "\n".join([*lines, "", *said, f"Recommended window: {advised}."])


def _realised(view: Mapping[str, Any], step: int, reward: str) -> float | None:
    found = (
        row["gain"] for row in view["realised"] if (row["step"], row["mode"], row["reward"]) == (step, "best", reward)
    )
    return next(found, None)


def _between(row: Mapping[str, Any], low: str, high: str) -> str:
    return "-" if row[low] is None else f"[{row[low]:.2f}, {row[high]:.2f}]"


def _told(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"
