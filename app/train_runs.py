"""The use cases over fine-tunes: asking for one, looking at it, commanding it, taking what it made. No torch."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from app import queue as lab_queue
from app.judged import judged_of
from app.measurements import name_of
from app.progress import fraction
from app.train_request import read_request
from app.trained import WEIGHTS, adapter_of, trained_id, weights_path
from core.config import PRESETS
from core.errors import ConfigError, LabError, NotFound
from core.events import Cost
from core.grpo.diagnosis import tone_of
from core.train_config import TrainConfig, from_dict
from storage import jobs, queue, runs
from storage.engine import Database
from storage.progress import COSTS, epochs_done
from storage.values import iso

if TYPE_CHECKING:
    from pathlib import Path

    from app.services import Lab

COMMANDS = ("pause", "continue", "cancel", "save", "sample")
MAX_TRIED = 200


def go_on(tx: Session, record_id: str) -> None:
    """Queue a run that has ended early: one of the command line, which had no job, too. Raises LabError."""
    last = jobs.latest_job(tx, record_id)
    if last is not None:
        queue.retry(tx, last)
        return
    row = runs.run_row(tx, record_id)
    if row.deleted_at is not None:
        raise LabError("this fine-tune lies in the trash: restore it first")
    if row.parent is not None:
        raise LabError("this fine-tune is a sweep's: continue the sweep")
    jobs.enqueue(tx, kind=jobs.TRAIN, record_id=record_id, lane="batch")


class TrainRuns:
    """The fine-tunes of one lab."""

    def __init__(self, lab: "Lab"):
        """Nothing is read yet."""
        self.lab = lab

    @property
    def database(self) -> Database:
        """The lab's."""
        return self.lab.database

    def start(self, body: Mapping[str, Any]) -> str:
        """Queue a fine-tune and return its record's id. Raises ConfigError by field."""
        asked = dict(body)
        name, parent = name_of(asked.pop("name", None)), asked.pop("parent", None)
        config = read_request(asked)
        with self.database.write() as tx:
            record_id = runs.create(tx, config, name=name, parent=parent)
            jobs.enqueue(tx, kind=jobs.TRAIN, record_id=record_id, lane="batch")
        return record_id

    def command(self, record_id: str, kind: Any) -> dict[str, Any]:
        """Ask a run's job to pause, continue, end, keep a checkpoint now or draw samples now. Raises LabError.

        One that was stopped or failed continues as a new job, from its newest checkpoint.
        """
        if kind not in COMMANDS:
            raise LabError(f"expected one of {', '.join(COMMANDS)}, got {kind!r:.60}")
        with self.database.write() as tx:
            if kind == "continue" and runs.run_row(tx, record_id).state in ("failed", "cancelled"):
                go_on(tx, record_id)
                return {"id": record_id}
            runs.run_row(tx, record_id)
        self.lab.command(record_id, kind)
        return {"id": record_id}

    def view(self, record_id: str, after: int | None = None) -> dict[str, Any] | None:
        """Everything a page shows of a run; None when nothing is newer than `after`. Raises NotFound.

        With `after` only those epochs and samples are in it that were written since, and it is `partial`.
        """
        since = -1 if after is None else after
        with self.database.read() as tx:
            record = runs.run_row(tx, record_id)
            if after is not None and record.seq == after:
                return None
            told, spent = runs.told(tx, record_id), runs.spent(tx, record_id)
            epochs, samples = runs.epochs_of(tx, record_id, since), runs.samples_of(tx, record_id, since)
            checkpoints, watched = runs.checkpoints_of(tx, record_id), runs.watched_of(tx, record_id)
            evaluations = [_trial(one) for one in runs.trials_of(tx, record_id)]
            job = queue.job_view(tx, record_id)
            last = epochs_done(tx, [record_id]).get(record_id)
        listed = ("id", "name", "kind", "prompt", "model", "preset", "state", "error", "parent", "star", "note")
        started, extra = dict(told.started), dict(told.environment)
        running = [one for one in lab_queue.listed(self.database)["jobs"] if one["record_id"] == record_id]
        mine = next((one for one in running if one["kind"] == jobs.TRAIN), None)
        return (
            {name: getattr(record, name) for name in (*listed, "locked", "picture", "headline", "config", "seq")}
            | {"created": iso(record.created_at), "deleted": record.deleted_at is not None, "job": job}
            | {"started": started, "prompts": started.get("sample_prompts", []), "usage": extra.pop("usage", {})}
            | {"environment": extra, "diagnosis": told.diagnosis, "tones": [tone_of(one) for one in told.diagnosis]}
            | {"judged": asdict(judged_of(record.config, started)), "log": told.output, "partial": after is not None}
            | {"epochs": [_epoch(row) for row in epochs], "samples": [_sample(row) for row in samples]}
            | {"checkpoints": [_checkpoint(row) for row in checkpoints]}
            | {"watched": [{"epoch": row.epoch, "session": row.session_id} for row in watched]}
            | {"evaluations": evaluations, "num_epochs": told.num_epochs, "last_epoch": last}
            | {"progress": 1.0 if record.state == "succeeded" else fraction(last or 0, told.num_epochs)}
            | {"seconds_left": mine and mine["seconds_left"], "cost": _cost(spent)}
            | {"trained_model": self._trained(record, checkpoints)}
        )

    def _trained(self, record: Any, checkpoints: list[Any]) -> str | None:
        """How the run's result is called as a model: pinned to an epoch as long as there may be another."""
        if not checkpoints:
            return None
        live = record.state not in jobs.FINAL
        return trained_id(record.model, record.id, checkpoints[-1].epoch if live else None)

    def history(self, record_id: str) -> tuple[TrainConfig, list[dict[str, Any]], dict[str, Any]]:
        """A run's config, all its epochs, and what its trainer said at the start. Raises NotFound."""
        with self.database.read() as tx:
            config, rows = runs.get_config(tx, record_id), runs.epochs_of(tx, record_id)
            return config, [_epoch(row) for row in rows], dict(runs.told(tx, record_id).started)

    def lora(self, record_id: str, epoch: str | None = None, *, raw: bool = False) -> "tuple[Path, int]":
        """The LoRA's file and its epoch: the averaged weights unless `raw`, the newest checkpoint's unless `epoch`
        names another. Raises NotFound before there is one.
        """
        with self.database.read() as tx:
            row = runs.run_row(tx, record_id)
            stored = runs.checkpoints_of(tx, record_id)
            if not stored:
                raise NotFound("this fine-tune has no checkpoint yet")
            wanted = stored[-1].epoch if epoch is None else epoch
            if epoch is not None and not (epoch.isascii() and epoch.isdecimal() and len(epoch) < 7):
                raise LabError(f"epoch: expected a whole number, got {epoch[:40]!r}")
            adapter = adapter_of(tx, trained_id(row.model, record_id, int(wanted), raw=raw))
        if adapter is None:
            raise NotFound(f"this fine-tune has no weights {WEIGHTS}")
        return weights_path(self.lab.checkpoints, adapter), adapter.epoch

    def evaluate(self, record_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Queue a trial of the trained model, with and without a search at test time. Raises ConfigError."""
        unknown = {str(name)[:60]: "is not a setting" for name in body if name not in ("prompts", "search", "epoch")}
        many, search, epoch = body.get("prompts", 24), body.get("search"), body.get("epoch")
        if type(many) is not int or not 1 <= many <= MAX_TRIED:
            unknown["prompts"] = f"expected a whole number from 1 to {MAX_TRIED}, got {many!r:.60}"
        if search is not None and (not isinstance(search, str) or search not in PRESETS or search == "no-search"):
            choices = ", ".join(name for name in PRESETS if name != "no-search")
            unknown["search"] = f"expected nothing or one of {choices}, got {search!r:.60}"
        with self.database.write() as tx:
            runs.run_row(tx, record_id)
            stored = [row.epoch for row in runs.checkpoints_of(tx, record_id)]
            if not stored:
                raise LabError("this fine-tune has no checkpoint yet: there is nothing to try")
            if epoch is not None and epoch not in stored:
                unknown["epoch"] = f"expected one of {', '.join(map(str, stored))}, got {epoch!r:.60}"
            if unknown:
                raise ConfigError(unknown)
            prompts = runs.told(tx, record_id).started.get("eval_prompts", [])[:many]
            asked = {"prompts": prompts, "search": search, "epoch": stored[-1] if epoch is None else epoch}
            number = runs.new_trial(tx, record_id, asked)
            payload = {"trial": number}
            job_id = jobs.enqueue(tx, kind=jobs.EVALUATE, record_id=record_id, lane="batch", payload=payload)
            runs.save_trial(tx, record_id, number, job_id=job_id)
        return {"number": number}

    def estimate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a fine-tune would cost: see `app.train_estimate.estimated`. Raises ConfigError."""
        from app.train_estimate import estimated

        asked = {name: value for name, value in body.items() if name not in ("name", "parent")}
        config = read_request(asked)
        with self.database.read() as tx:
            earlier = runs.begun(tx, config.model, here=partial(self.lab.ran_here, tx))
        return estimated(config, earlier)

    def named_config(self, record_id: str) -> tuple[TrainConfig, str | None]:
        """What is trained, and what the run is called. Raises NotFound."""
        with self.database.read() as tx:
            row = runs.run_row(tx, record_id)
            return from_dict(row.config), row.name

    def config_of(self, record_id: str) -> TrainConfig:
        """What is trained. Raises NotFound."""
        with self.database.read() as tx:
            return from_dict(runs.run_row(tx, record_id).config)


def _epoch(row: Any) -> dict[str, Any]:
    told = {"epoch": row.epoch, "metrics": row.metrics, "per_step": row.per_step, "seconds": row.phases}
    return told | {"nfe": row.nfe, "decodes": row.decodes, "total_seconds": row.seconds}


def _sample(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("epoch", "ema", "sheet", "columns", "cell", "rewards")}


def _checkpoint(row: Any) -> dict[str, Any]:
    digest = (row.files.get(WEIGHTS) or {}).get("sha256")
    files = [{"name": name, **about} for name, about in sorted(row.files.items())]
    return {"epoch": row.epoch, "sha256": digest, "kept": row.kept, "files": files}


def _trial(row: Any) -> dict[str, Any]:
    about = {"number": row.number, "asked": row.asked, "result": row.result}
    return about | {"state": row.status, "error": row.error, "job_id": row.job_id}


def _cost(cost: Cost) -> dict[str, Any]:
    return {name: getattr(cost, name) for name in COSTS}
