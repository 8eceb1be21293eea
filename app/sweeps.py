"""The use cases over sweeps: what one would cost, asking for one, looking at it, driving it. No torch."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from app import queue as lab_queue
from app.measurements import name_of
from app.progress import fraction, planned_nfe
from app.reliability_export import csv_line, safe_text
from app.sweep_cells import cells, measures_of
from app.sweep_config import (
    SETTINGS,
    Run,
    SweepConfig,
    from_plain,
    hash_of,
    preset_label,
    read_sweep,
    title_of,
    to_plain,
    value_text,
)
from core.config import to_dict
from core.errors import ConfigError, LabError
from storage import jobs, queue, sweeps
from storage.sweeps import Outcome
from storage.values import iso

if TYPE_CHECKING:
    from app.services import Lab

COMMANDS = ("pause", "continue", "cancel")
_SHOWN = ("id", "name", "kind", "prompt", "model", "preset", "state", "error", "parent", "star", "note", "locked")


class Sweeps:
    """The sweeps of one lab."""

    def __init__(self, lab: "Lab"):
        """Nothing is read yet."""
        self.lab = lab

    def read(self, body: Mapping[str, Any]) -> SweepConfig:
        """What is asked for, checked as sessions are: every model, reward and search can be used here.

        Raises ConfigError by field.
        """
        config = read_sweep(body)
        problems: dict[str, str] = {}
        for run in _different(config.runs()):
            try:
                self.lab.read_config(to_dict(run.config))
            except ConfigError as error:
                problems |= error.problems
        if problems:
            raise ConfigError(problems)
        return config

    def estimate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Runs in all, those that have run already (`known`), and of the others NFE and seconds; None where no session
        of a model has run here. Raises ConfigError.
        """
        config = self.read(body)
        runs = config.runs()
        known = self._known("", runs)
        missing = [run for run in runs if run.hash not in known]
        spent = [(run.config.model, planned_nfe(run.config)) for run in missing]
        rates = {model: self.lab.measured_rate(model) for model in {model for model, _ in spent}}
        told = {"runs": len(runs), "known": len(runs) - len(missing), "cells": len(list(config.cells()))}
        seconds = None if None in rates.values() else sum(nfe * (rates[model] or 0.0) for model, nfe in spent)
        return told | {"nfe": sum(nfe for _, nfe in spent), "seconds": seconds}

    def create(self, body: Mapping[str, Any]) -> tuple[str, SweepConfig]:
        """Make the record of a sweep, without a job. Raises ConfigError."""
        config, name = self.read(body), name_of(body.get("name"))
        with self.lab.database.write() as tx:
            named = name or title_of([_axis(one.setting, one.values)["label"] for one in config.axes])
            made = {"name": named, "preset": preset_label(config)}
            return sweeps.create(tx, to_plain(config), hash_of(config), **made), config

    def start(self, body: Mapping[str, Any]) -> str:
        """Queue a sweep and return its record's id. Raises ConfigError by field."""
        record_id, _ = self.create(body)
        self.resume(record_id)
        return record_id

    def resume(self, record_id: str) -> None:
        """Queue what a sweep that has ended still lacks. Raises LabError while it has not ended."""
        with self.lab.database.write() as tx:
            sweeps.sweep_row(tx, record_id)
            jobs.enqueue(tx, kind=jobs.SWEEP, record_id=record_id, lane="batch")

    def command(self, record_id: str, kind: Any) -> dict[str, Any]:
        """Ask a sweep to pause, continue or end; or, once it has ended, to run what is missing. Raises LabError."""
        if kind not in (*COMMANDS, "resume"):
            raise LabError(f"expected one of {', '.join(COMMANDS)}, resume, got {kind!r:.60}")
        with self.lab.database.read() as tx:
            sweeps.sweep_row(tx, record_id)
        if kind == "resume":
            self.resume(record_id)
        else:
            self.lab.command(record_id, kind)
        return {"id": record_id}

    def view(self, record_id: str, after: int | None = None) -> dict[str, Any] | None:
        """Everything a page shows of a sweep; None when nothing is newer than `after`. Raises NotFound."""
        with self.lab.database.read() as tx:
            row = sweeps.sweep_row(tx, record_id)
            if after is not None and row.seq == after:
                return None
            job = queue.job_view(tx, record_id)
        config = from_plain(row.config)
        runs = config.runs()
        known = self._known(record_id, runs)
        ended = [one for run in runs if (one := known.get(run.hash)) and one.state in jobs.FINAL]
        mine = [one for one in lab_queue.listed(self.lab.database)["jobs"] if one["record_id"] == record_id]
        return (
            {name: getattr(row, name) for name in _SHOWN}
            | {"created": iso(row.created_at), "deleted": row.deleted_at is not None, "seq": row.seq, "job": job}
            | {"prompts": list(config.prompts), "seeds": list(config.seeds), "base": to_dict(config.base)}
            | {"axes": [_axis(one.setting, one.values) for one in config.axes]}
            | {"runs": [_run(run, known.get(run.hash)) for run in runs], "progress": fraction(len(ended), len(runs))}
            | {"measures": [_measure(config, runs, known, one) for one in measures_of(config, runs)]}
            | {"seconds_left": mine[0]["seconds_left"] if mine else None}
        )

    def table(self, record_id: str) -> Iterator[str]:
        """Lines of a table, a run a line, with every measure. Raises NotFound at once."""
        with self.lab.database.read() as tx:
            config = from_plain(sweeps.sweep_row(tx, record_id).config)
        runs = config.runs()
        known, measures = self._known(record_id, runs), measures_of(config, runs)
        head = [*(axis.setting for axis in config.axes), "prompt", "seed", "session", "state", "error"]

        def lines() -> Iterator[str]:
            yield csv_line([*head, *(one.name for one in measures)])
            for run in runs:
                one = known.get(run.hash)
                values = [axis.values[at] for axis, at in zip(config.axes, run.cell, strict=True)]
                about = [one.record_id, one.state, safe_text(one.error or "")] if one else ["", "missing", ""]
                numbers = [each.of(run, one) if one and one.state == "succeeded" else None for each in measures]
                place = [*map(value_text, values), safe_text(config.prompts[run.prompt]), run.seed]
                yield csv_line([*place, *about, *("" if number is None else number for number in numbers)])

        return lines()

    def _known(self, record_id: str, runs: list[Run]) -> dict[str, Outcome]:
        with self.lab.database.read() as tx:
            return sweeps.outcomes(tx, record_id, {run.hash for run in runs})


def _different(runs: list[Run]) -> list[Run]:
    """One run of each cell and each prompt: seeds need no check of their own."""
    return list({(run.cell, run.prompt): run for run in runs}.values())


def _axis(setting: str, values: tuple[Any, ...]) -> dict[str, Any]:
    from app.ui.form import BY_NAME

    label = BY_NAME[setting].label if setting in BY_NAME else setting
    return {"setting": setting, "label": label, "values": list(values), "texts": [value_text(one) for one in values]}


def _run(run: Run, one: Outcome | None) -> dict[str, Any]:
    place = {"cell": list(run.cell), "prompt": run.prompt, "seed": run.seed}
    if one is None:
        return place | {"state": "missing", "record": None, "error": None, "picture": None, "own": True}
    about = {"state": one.state, "record": one.record_id, "error": one.error, "picture": one.picture, "own": one.own}
    return place | about


def _measure(config: SweepConfig, runs: list[Run], known: Mapping[str, Outcome], measure: Any) -> dict[str, Any]:
    values = [
        measure.of(run, one) if (one := known.get(run.hash)) and one.state == "succeeded" else None for run in runs
    ]
    about = {"name": measure.name, "label": measure.label, "signed": measure.over is not None, "cost": measure.cost}
    return about | {"cells": cells(config, runs, known, measure), "values": values}


def settings_offered(lab: "Lab") -> list[dict[str, Any]]:
    """What can be varied: name, label, help, its usual value, and what can be chosen where that is a list."""
    from app.ui.form import BY_NAME, CHOICES, OFFERED, defaults

    offers, usual = lab.options(), defaults()
    found = []
    for name in SETTINGS:
        field = BY_NAME[{"preset": "preset", "reward": "reward"}.get(name, name)]
        among: list[str] = list(CHOICES.get(name, ()))
        if name in OFFERED:
            among = [one["name"] for one in offers[OFFERED[name]] if one["usable"]]
        elif field.kind == "flag":
            among = ["no", "yes"]
        told = {"name": name, "label": field.label, "help": field.help, "choices": among}
        found.append(told | {"usual": value_text(usual[name])})
    return found
