"""The use cases over sweeps: what one would cost, asking for one, looking at it, driving it. No torch."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from app import queue as lab_queue
from app.compare_settings import rows as settings_beside
from app.labels import label_of
from app.measurements import name_of
from app.progress import fraction, planned_nfe
from app.reliability_export import csv_line, safe_text
from app.sweep_cells import cells, measures_of
from app.sweep_config import (
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
from app.sweep_kinds import SEARCHES, Kind
from app.sweep_versus import Side, alike, less
from app.train_estimate import estimated
from app.train_request import read_request
from core.errors import ConfigError, LabError
from storage import jobs, queue, runs, sweeps
from storage.sweeps import Outcome
from storage.values import iso

if TYPE_CHECKING:
    from app.services import Lab

COMMANDS = ("pause", "continue", "cancel")
LOOKED_THROUGH = 100  # the newest sweeps, among which others over the same cells are looked for
_SHOWN = ("id", "name", "kind", "prompt", "model", "preset", "state", "error", "parent", "star", "note", "locked")


class Sweeps:
    """The sweeps of one lab."""

    def __init__(self, lab: "Lab"):
        """Nothing is read yet."""
        self.lab = lab

    def read(self, body: Mapping[str, Any]) -> SweepConfig:
        """What is asked for, checked as its runs are: every model, reward and search can be used here.

        Raises ConfigError by field.
        """
        config = read_sweep(body)
        check = self.lab.read_config if config.kind is SEARCHES else read_request
        problems: dict[str, str] = {}
        for run in _different(config):
            try:
                check(config.kind.plain(run.config))
            except ConfigError as error:
                problems |= error.problems
        if problems:
            raise ConfigError(problems)
        return config

    def estimate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Runs in all, those that have run already (`known`), and of the others NFE and seconds; None where no run of a
        model has been measured here. Raises ConfigError.
        """
        config = self.read(body)
        listed = config.runs()
        known = self._known("", config, listed)
        missing = {run.key: run.config for run in listed if run.key not in known}
        told = {"runs": len(listed), "known": sum(run.key in known for run in listed)}
        costs = (self._search_costs if config.kind is SEARCHES else self._tune_costs)(list(missing.values()))
        seconds = [each for _, each in costs]
        total = None if None in seconds else sum(each or 0.0 for each in seconds)
        return told | {"cells": len(list(config.cells())), "nfe": sum(nfe for nfe, _ in costs), "seconds": total}

    def _search_costs(self, configs: list[Any]) -> list[tuple[float, float | None]]:
        """NFE and seconds of each."""
        rates = {model: self.lab.measured_rate(model) for model in {config.model for config in configs}}
        spent = [(planned_nfe(config), rates[config.model]) for config in configs]
        return [(nfe, None if rate is None else nfe * rate) for nfe, rate in spent]

    def _tune_costs(self, configs: list[Any]) -> list[tuple[float, float | None]]:
        """The same, from what earlier fine-tunes took by phase."""
        with self.lab.database.read() as tx:
            here = partial(self.lab.ran_here, tx)
            earlier = {model: runs.begun(tx, model, here=here) for model in {config.model for config in configs}}
        found = [estimated(config, earlier[config.model]) for config in configs]
        return [(one["nfe"], one["seconds"]) for one in found]

    def create(self, body: Mapping[str, Any]) -> tuple[str, SweepConfig]:
        """Make the record of a sweep, without a job. Raises ConfigError."""
        config, name = self.read(body), name_of(body.get("name"))
        with self.lab.database.write() as tx:
            named = name or title_of([label_of(config.kind.name, one.setting) for one in config.axes])
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
        listed = config.runs()
        known = self._known(record_id, config, listed)
        ended = sum(one.done if one.state not in jobs.FINAL else 1.0 for run in listed if (one := known.get(run.key)))
        mine = [one for one in lab_queue.listed(self.lab.database)["jobs"] if one["record_id"] == record_id]
        return (
            {name: getattr(row, name) for name in _SHOWN}
            | {"of": config.kind.name, "job": job, "seq": row.seq}
            | {"created": iso(row.created_at), "deleted": row.deleted_at is not None}
            | {"prompts": list(config.prompts), "seeds": list(config.seeds), "base": dict(config.base)}
            | {"axes": [_axis(config.kind, one.setting, one.values) for one in config.axes]}
            | {"runs": [_run(run, known.get(run.key)) for run in listed], "progress": fraction(ended, len(listed))}
            | {"measures": [_measure(config, listed, known, one) for one in measures_of(config, listed)]}
            | {"seconds_left": mine[0]["seconds_left"] if mine else None}
        )

    def table(self, record_id: str) -> Iterator[str]:
        """Lines of a table, a run a line, with every measure. Raises NotFound at once."""
        with self.lab.database.read() as tx:
            config = from_plain(sweeps.sweep_row(tx, record_id).config)
        listed = config.runs()
        known, measures = self._known(record_id, config, listed), measures_of(config, listed)
        prompt = ["prompt"] if config.prompts else []
        head = [*(axis.setting for axis in config.axes), *prompt, "seed", config.kind.column, "state", "error"]

        def lines() -> Iterator[str]:
            yield csv_line([*head, *(one.name for one in measures)])
            for run in listed:
                one = known.get(run.key)
                values = [value_text(axis.values[at]) for axis, at in zip(config.axes, run.cell, strict=True)]
                about = [one.record_id, one.state, safe_text(one.error or "")] if one else ["", "missing", ""]
                numbers = [each.of(run, one) if one and one.state == "succeeded" else None for each in measures]
                asked = [safe_text(config.prompts[run.prompt])] if config.prompts else []
                told = [*values, *asked, run.seed, *about]
                yield csv_line([*told, *("" if number is None else number for number in numbers)])

        return lines()

    def alike(self, record_id: str) -> list[dict[str, Any]]:
        """The other sweeps over the same cells, newest first: id, name, created, and as text what `settings` they have
        that this one has not. Raises NotFound.
        """
        with self.lab.database.read() as tx:
            mine = from_plain(sweeps.sweep_row(tx, record_id).config)
            rows = sweeps.newest(tx, LOOKED_THROUGH)
        found = []
        for row in rows:
            try:
                config = from_plain(row.config)
            except ConfigError:
                continue  # of a plug-in that is not here
            if row.id != record_id and alike(mine, config):
                bases = {"A": mine.base, "B": config.base}
                differing = [one for one in settings_beside(mine.kind.name, bases) if one["differs"]]
                texts = [f"{one['label']} {one['values']['B']}" for one in differing]
                about = {"id": row.id, "name": row.name, "created": iso(row.created_at)}
                found.append(about | {"settings": ", ".join(texts)[:200]})
        return found

    def less(self, record_id: str, other_id: str) -> dict[str, Any]:
        """What a sweep's runs are above another's: see `app.sweep_versus.less`. Raises LabError."""
        return less(self._side(record_id), self._side(other_id))

    def _side(self, record_id: str) -> Side:
        with self.lab.database.read() as tx:
            config = from_plain(sweeps.sweep_row(tx, record_id).config)
        listed = config.runs()
        return Side(config, listed, self._known(record_id, config, listed))

    def _known(self, record_id: str, config: SweepConfig, listed: list[Run]) -> dict[str, Outcome]:
        with self.lab.database.read() as tx:
            return sweeps.outcomes(tx, record_id, {run.key for run in listed}, config.kind.name)


def _different(config: SweepConfig) -> list[Run]:
    """One run of each cell and each prompt, seeds need no check of their own; of fine-tunes one of each combination of
    what a lab may lack, for their prompts are many.
    """
    listed = config.runs()
    if config.kind is SEARCHES:
        return list({(run.cell, run.prompt): run for run in listed}.values())
    return list({(c.model, *c.rewards.items(), c.prompt_set): run for run in listed if (c := run.config)}.values())


def _axis(kind: Kind, setting: str, values: tuple[Any, ...]) -> dict[str, Any]:
    about = {"setting": setting, "label": label_of(kind.name, setting), "values": list(values)}
    return about | {"texts": [value_text(one) for one in values]}


def _run(run: Run, one: Outcome | None) -> dict[str, Any]:
    place = {"cell": list(run.cell), "prompt": run.prompt, "seed": run.seed}
    if one is None:
        return place | {"state": "missing", "record": None, "error": None, "picture": None, "own": True, "done": 0.0}
    about = {"state": one.state, "record": one.record_id, "error": one.error, "picture": one.picture, "own": one.own}
    return place | about | {"done": one.done}


def _measure(config: SweepConfig, listed: list[Run], known: Mapping[str, Outcome], measure: Any) -> dict[str, Any]:
    values = [
        measure.of(run, one) if (one := known.get(run.key)) and one.state == "succeeded" else None for run in listed
    ]
    about = {"name": measure.name, "label": measure.label, "signed": measure.over is not None, "cost": measure.cost}
    return about | {"cells": cells(config, listed, known, measure), "values": values}
