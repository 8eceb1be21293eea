"""`sweep`: a sweep in this process, run after run, recorded as a worker's is, without the queue."""

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, TextIO

from tqdm import tqdm

from app.running import running
from app.services import Lab
from app.sweep_config import Run
from app.sweeping import Sweep, run_sweep
from app.sweeps import Sweeps
from app.toolbox import Resident, Toolbox, torch_toolbox
from core.errors import ConfigError
from core.train_events import EpochFinished, TrainEvent
from storage import sessions
from storage.sweeps import Outcome
from storage.under_way import leave_runs


def sweep_here(
    lab: Lab,
    body: Mapping[str, Any],
    *,
    as_json: bool,
    measure: str | None = None,
    estimate: bool = False,
    toolbox: Toolbox | None = None,
    out: TextIO | None = None,
) -> int:
    """Run what is missing and print the cells; with `as_json` a line a run, then the cells. Raises LabError."""
    out, use = out or sys.stdout, Sweeps(lab)
    if estimate:
        _tell(out, {"event": "estimate"} | use.estimate(body))
        return 0
    tools = lab.with_trained(toolbox or torch_toolbox(lab.settings.device))
    record_id, config = use.create(body)
    if as_json:
        _tell(out, {"event": "sweep", "id": record_id, "runs": config.num_runs})
    with ExitStack() as held:
        with lab.database.write() as tx:
            sessions.set_state(tx, record_id, "running")
            held.enter_context(running(lab.settings.data_dir, record_id))
        bar = held.enter_context(tqdm(total=config.num_runs, disable=as_json, unit="run", leave=False, file=sys.stderr))

        def told(done: int, run: Run, outcome: Outcome | None) -> None:
            bar.update(1)
            if as_json:
                values = {one.setting: one.values[at] for one, at in zip(config.axes, run.cell, strict=True)}
                about = {config.kind.column: outcome.record_id, "state": outcome.state} if outcome else {}
                asked = {"prompt": config.prompts[run.prompt]} if config.prompts else {}
                _tell(out, {"event": "run", "done": done, **asked, "seed": run.seed, "values": values, **about})

        def heard(event: TrainEvent) -> None:
            if isinstance(event, EpochFinished):
                bar.set_postfix_str(f"epoch {event.epoch}")

        stored = (lab.database, lab.artifacts, lab.checkpoints)
        work = Sweep(*stored, Resident(tools), record_id, told=told, heard=heard)
        try:
            run_sweep(work, config)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            state, why = ("cancelled", None) if stopped else ("failed", str(error))
            with lab.database.write() as tx:
                leave_runs(tx, record_id, state, why)
                sessions.set_state(tx, record_id, state, why)
            raise
        with lab.database.write() as tx:
            sessions.set_state(tx, record_id, "succeeded")
    view = use.view(record_id) or {}
    if as_json:
        _tell(out, {"event": "cells"} | {name: view[name] for name in ("id", "axes", "measures")})
        return 0
    print(table(view, measure), file=out)
    print(f"\nsweep {record_id} is kept in {lab.settings.data_dir}; a lab that serves this folder", file=out)
    print(f"shows it at /sweep?record={record_id}", file=out)
    return 0


def table(view: Mapping[str, Any], measure: str | None = None) -> str:
    """A measure's cells as text, the first setting downwards. Raises ConfigError for a measure that there is not."""
    by_name = {one["name"]: one for one in view["measures"]}
    if measure is not None and measure not in by_name:
        raise ConfigError({"measure": f"expected one of {', '.join(by_name)}, got {measure!r:.60}"})
    chosen = by_name[measure] if measure else view["measures"][0]
    down, across = view["axes"][0], (view["axes"][1:] or [{"label": "", "texts": [""]}])[0]
    cells = iter(chosen["cells"])
    rows = [[f"{down['label']} \\ {across['label']}" if across["label"] else down["label"], *across["texts"]]]
    rows += [[text, *(_cell(next(cells)) for _ in across["texts"])] for text in down["texts"]]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True)) for row in rows]
    failed = sum(run["state"] != "succeeded" for run in view["runs"])
    head = f"{chosen['label']}, mean over runs with a 95% interval"
    return "\n".join([head, *lines, *([f"{failed} of the runs have no result"] if failed else [])])


def _cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "-"
    between = "" if cell["low"] is None else f" [{cell['low']:.3f}, {cell['high']:.3f}]"
    return f"{cell['mean']:.3f}{between}"


def _tell(out: TextIO, line: Mapping[str, Any]) -> None:
    print(json.dumps(line, allow_nan=False), file=out, flush=True)
