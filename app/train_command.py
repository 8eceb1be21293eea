"""`train`: one fine-tune in this process, recorded as a worker's is, without the queue."""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from app.measurements import name_of
from app.running import running
from app.services import Lab
from app.settings import ROOT
from app.toolbox import Toolbox, torch_toolbox
from app.train_request import read_request
from app.trained import AVERAGED, WEIGHTS
from app.training import PLOTTED, TrainRecorder
from core.errors import LabError
from core.train_config import to_dict
from core.train_events import CheckpointMade, Diagnosed, EpochFinished, TrainEvent
from storage import jobs, runs, sessions
from storage.values import number

# What a line of --json has of an epoch's figures; the names are stable.
_FIGURES = (
    *("reward_mean", "reward_std", "heldout", "heldout_ema", "verifier", "verifier_ema", "approx_kl", "kl_ref"),
    *("clip_fraction", "ratio_max_deviation", "grad_norm", "zero_std_share", "group_std", "noise_norm"),
)


def train_here(
    lab: Lab,
    body: Mapping[str, Any],
    *,
    resume: str | None = None,
    as_json: bool = False,
    toolbox: Toolbox | None = None,
    out: TextIO | None = None,
) -> int:
    """Train to the end and print what came out; with `as_json` a line an epoch and a checkpoint. Raises LabError.

    With `resume` a stored run that has ended early goes on, and `body` is not looked at.
    """
    tools, out, screen = toolbox or torch_toolbox(lab.settings.device), out or sys.stdout, sys.stderr
    with ExitStack() as held:
        record_id = take_up(lab, resume, held) if resume else _created(lab, body, held)
        recorder = TrainRecorder(lab.database, lab.artifacts, lab.checkpoints, record_id, tools)
        if as_json:
            _tell(out, {"event": "run", "id": record_id, "config": to_dict(recorder.config)})
        shown = {"total": recorder.config.epochs, "disable": as_json, "unit": " epochs", "leave": False}
        bar = held.enter_context(tqdm(file=screen, **shown))
        try:
            for event in trained(lab, recorder, tools):
                _show(bar, event)
                line = _line(lab, record_id, event)
                if as_json and line is not None:
                    _tell(out, line)
        except BaseException:
            if not as_json:
                print(f"it can go on: {resume_line(lab.settings.data_dir, record_id)}", file=screen)
            raise
    if not as_json:
        print(summary(lab, record_id), file=out)
    return 0


def resume_line(data_dir: Path, record_id: str) -> str:
    """The command that goes on with a run, as it can be typed where this process was started."""
    words = [_from_here(Path(sys.executable)), "-m", "app", "train", "--resume", record_id]
    return shlex.join(words if data_dir == ROOT / "data" else [*words, "--data-dir", _from_here(data_dir)])


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def trained(lab: Lab, recorder: TrainRecorder, tools: Toolbox) -> Iterator[TrainEvent]:
    """Train a record of this process on from its newest checkpoint, event by event; its state says how that ended."""
    config = recorder.config
    tools.set_threads(config.threads)
    try:
        with recorder.output.heard():
            model = tools.load_model(config.model)
            rewards = {name: tools.load_reward(name) for name in config.rewards}
            with closing(tools.train(config, model, rewards, state=recorder.state())) as events:
                for event in events:
                    recorder.record(event)
                    yield event
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | GeneratorExit)
        with lab.database.write() as tx:
            runs.save_told(tx, recorder.record_id, **recorder.told())
            problem = None if stopped else str(error)
            sessions.set_state(tx, recorder.record_id, "cancelled" if stopped else "failed", problem)
        raise


def _created(lab: Lab, body: Mapping[str, Any], held: ExitStack) -> str:
    asked = dict(body)
    name = name_of(asked.pop("name", None))
    config = read_request(asked)
    with lab.database.write() as tx:
        record_id = runs.create(tx, config, name=name)
        sessions.set_state(tx, record_id, "running")
        held.enter_context(running(lab.settings.data_dir, record_id))
    return record_id


def take_up(lab: Lab, record_id: str, held: ExitStack) -> str:
    """Make a run that has ended early this process's own."""
    with lab.database.write() as tx:
        row = runs.run_row(tx, record_id)
        if row.state not in jobs.FINAL:
            raise LabError(f"the fine-tune {record_id} is {row.state}: only one that has ended can be resumed here")
        if row.state == "succeeded":
            raise LabError(f"the fine-tune {record_id} has finished: there is nothing to go on with")
        sessions.set_state(tx, record_id, "running")
        held.enter_context(running(lab.settings.data_dir, record_id))
    return record_id


def _show(bar: Any, event: TrainEvent) -> None:
    if isinstance(event, EpochFinished):
        bar.update(event.epoch - bar.n)
        figures = {name: f"{event.metrics[name]:.3f}" for name in PLOTTED if name in event.metrics}
        bar.set_postfix(figures)


def _line(lab: Lab, record_id: str, event: TrainEvent) -> dict[str, Any] | None:
    """What --json says of an event."""
    match event:
        case EpochFinished():
            figures = {name: number(event.metrics.get(name)) for name in _FIGURES}
            told = {"event": "epoch" if event.epoch else "baseline", "epoch": event.epoch} | figures
            told |= {"nfe": event.cost.nfe, "seconds": event.cost.seconds}
            return told | {"epoch_nfe": event.metrics.get("nfe"), "epoch_seconds": event.seconds.get("total")}
        case CheckpointMade():
            with lab.database.read() as tx:
                row = next(one for one in runs.checkpoints_of(tx, record_id) if one.epoch == event.epoch)
            folder, told = lab.checkpoints.path(record_id, row.folder), {"event": "checkpoint", "epoch": event.epoch}
            for prefix, file in (("", WEIGHTS), ("ema_", AVERAGED)):
                if file in row.files:
                    told |= {f"{prefix}path": str(folder / file), f"{prefix}sha256": row.files[file]["sha256"]}
            return told
        case Diagnosed():
            return {"event": "diagnosis", "epoch": event.epoch, "sentences": list(event.sentences)}
    return None


def summary(lab: Lab, record_id: str) -> str:
    """A run that has ended, as text: a line a judged epoch, and where to find what it made."""
    with lab.database.read() as tx:
        rows, told = runs.epochs_of(tx, record_id), runs.told(tx, record_id)
        newest = runs.checkpoints_of(tx, record_id)[-1]
    file = AVERAGED if AVERAGED in newest.files else WEIGHTS
    shown = [name for name in PLOTTED if any(row.metrics.get(name) is not None for row in rows)]
    table = [["epoch", *shown, "nfe", "seconds"]]
    judged = [row for row in rows if row.metrics.get("heldout") is not None] or rows[-1:]
    for row in judged:
        figures = [row.metrics.get(name) for name in shown]
        cells = ["-" if value is None else f"{value:.3f}" for value in figures]
        table.append([str(row.epoch), *cells, f"{row.nfe:,}", f"{row.seconds:.0f}"])
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    where = f"LoRA: {lab.checkpoints.path(record_id, newest.folder) / file}"
    kept = f"fine-tune {record_id} is kept in {lab.settings.data_dir}; a lab that serves this folder shows it at"
    return "\n".join([*lines, "", *told.diagnosis, where, kept, f"/train?record={record_id}"])


def _tell(out: TextIO, line: Mapping[str, Any]) -> None:
    print(json.dumps(line, allow_nan=False), file=out, flush=True)
