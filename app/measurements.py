"""The use cases over reliability measurements: asking for one, looking at it, and what it says to others. No torch.

What finished rows show is worked out once and kept for as long as no further row is finished: it takes seconds.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from app import queue as lab_queue
from app.measure_request import as_request, read_request
from app.progress import fraction, planned
from core.config import STEP_KINDS
from core.errors import ConfigError, LabError, NotFound
from core.events import Cost
from core.measure_config import MeasureConfig
from core.rewards.registry import REWARDS
from storage import jobs, queue, reliability
from storage.values import iso

if TYPE_CHECKING:
    from app.measured import Measured
    from app.services import Lab
    from storage.engine import Database

KEPT = 8  # findings kept in memory
COMMANDS = ("pause", "continue", "step", "cancel")
WORST = 20
_NOTHING: dict[str, Any] = {
    "curves": {},
    "proxies": {},
    "between": [],
    "realised": [],
    "hacking": [],
    "averaging": [],
    "window": None,
    "few_prompts": True,
    "sentence": "",
}


@dataclass
class _Known:
    """What is kept in memory of one measurement; the rest is worked out, under the lock, when it is asked for."""

    rows: frozenset[int]
    found: "Measured | None"
    findings: dict[str, Any] | None = None
    signals: dict[str, dict[str, str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Measurements:
    """The measurements of one lab."""

    def __init__(self, lab: "Lab"):
        """Nothing is read yet."""
        self.lab = lab
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Known] = OrderedDict()

    @property
    def database(self) -> "Database":
        """The lab's."""
        return self.lab.database

    def start(self, body: Mapping[str, Any]) -> str:
        """Queue a measurement and return its record's id. Raises ConfigError by field."""
        config = read_request(body, self.lab.usable)
        with self.database.write() as tx:
            record_id = reliability.create(tx, config, name=name_of(body.get("name")))
            jobs.enqueue(tx, kind=jobs.MEASURE, record_id=record_id, lane="batch")
        return record_id

    def estimate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a measurement would cost; `seconds` as earlier runs of its model took, None where none ran here."""
        config = read_request(body, self.lab.usable)
        cost = planned(config)
        rows = len(config.pairs)
        rate = self._rate(config.base.model)
        told = {"nfe": cost.nfe, "decodes": cost.decodes, "reward_calls": cost.reward_calls, "rows": rows}
        told |= {"events": rows * len(config.measured_steps)}
        return told | {"seconds": None if rate is None else rate * cost.nfe}

    def _rate(self, model: str) -> float | None:
        """Seconds a velocity evaluation took, all else included: in the newest measurement, else in sessions."""
        with self.database.read() as tx:
            for row in reliability.newest_finished(tx, model):
                spent = reliability.schedule(tx, row.id)
                if spent.nfe and spent.seconds and self.lab.ran_here(tx, row.id):
                    return float(spent.seconds / spent.nfe)
        return self.lab.measured_rate(model)

    def command(self, record_id: str, kind: Any) -> dict[str, Any]:
        """Ask a measurement's job to pause, continue, do one more step, or end. Raises LabError."""
        if kind not in COMMANDS:
            raise LabError(f"expected one of {', '.join(COMMANDS)}, got {kind!r:.60}")
        with self.database.read() as tx:
            reliability.measurement_row(tx, record_id)
        self.lab.command(record_id, kind)
        return {"id": record_id}

    def view(self, record_id: str, after: int | None = None) -> dict[str, Any] | None:
        """Everything a page shows of a measurement; None when nothing is newer than `after`. Raises NotFound."""
        with self.database.read() as tx:
            record = reliability.measurement_row(tx, record_id)
            if after is not None and record.seq == after:
                return None
            config, stored = reliability.get_config(tx, record_id), reliability.shown(tx, record_id)
            schedule, spent = reliability.schedule(tx, record_id), reliability.total_cost(tx, record_id)
            job = queue.job_view(tx, record_id)
        listed = ("id", "name", "kind", "prompt", "model", "state", "error", "parent", "star", "note", "locked")
        found, findings = self._findings(record_id)
        sigmas = schedule.sigmas or []
        running = [one for one in lab_queue.listed(self.database)["jobs"] if one["record_id"] == record_id]
        left = running[0]["seconds_left"] if running else None
        return (
            {name: getattr(record, name) for name in listed}
            | {"created": iso(record.created_at), "deleted": record.deleted_at is not None, "seq": record.seq}
            | {"picture": record.picture, "config": record.config, "request": as_request(config), "job": job}
            | {"sigmas": sigmas, "step_std": schedule.step_std or [], "excess_std": schedule.excess_std or []}
            | {"steps": list(config.measured_steps), "rows": _rows(config, stored)}
            | {"rows_done": len(found.rows) if found else 0, "progress": _progress(record.state, config, spent)}
            | {"seconds_left": left, "cost": asdict(spent), "planned": asdict(planned(config))}
            | {"estimates": list(config.estimates), "rewards": [*config.base.rewards]}
            | {"optimised": config.optimised, "held_out": list(config.held_out), "primary": config.primary}
            | findings
            | {"explore": self._explore(config, findings["window"], sigmas)}
        )

    def _explore(self, config: MeasureConfig, window: Any, sigmas: list[float]) -> Any:
        from app.reliability_science import explore_config

        return explore_config(config, window, sigmas) if window else None

    def _known(self, record_id: str) -> "_Known":
        """What is in memory of a measurement, read again when a further row is finished."""
        from app.measured import read_measured  # numpy and scipy: when the first measurement is looked at

        with self._lock:
            with self.database.read() as tx:
                rows = reliability.done_rows(tx, record_id)
            known = self._kept.get(record_id)
            if known is None or known.rows != rows:
                found = read_measured(self.database, record_id)
                known = self._kept[record_id] = _Known(frozenset(found.rows if found else ()), found)
            self._kept.move_to_end(record_id)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return known

    def _findings(self, record_id: str) -> tuple["Measured | None", dict[str, Any]]:
        """The finished rows as arrays, and what they show. One at a time: several pages ask for the same."""
        from app.reliability_science import findings

        known = self._known(record_id)
        with known.lock:
            if known.findings is None:
                known.findings = findings(known.found) if known.found else _NOTHING
        return known.found, known.findings

    def found(self, record_id: str) -> "Measured":
        """The finished rows as arrays. Raises NotFound before one is finished."""
        found = self._known(record_id).found
        if found is None:
            raise NotFound("this measurement has no finished row yet")
        return found

    def row(self, record_id: str, row: Any) -> dict[str, Any]:
        """One row with every sibling's numbers and the sheets of pictures. Raises NotFound."""
        number_of_row = _whole(row)
        with self.database.read() as tx:
            reliability.measurement_row(tx, record_id)
            stored = reliability.measured(tx, record_id, [number_of_row])
        if not stored:
            raise NotFound(f"this measurement has no row {row!r:.40} yet")
        names = ("step", "sigma", "sigma_next", "guesses", "finals")
        data = ("proxy", "truth", "walked", "ended", "latent_distance", "pixel_distance", "returned", "sheet")
        steps = [{name: getattr(one, name) for name in names} | {n: one.data[n] for n in data} for one in stored]
        return {"row": number_of_row, "prompt": stored[0].prompt, "seed": stored[0].seed, "steps": steps}

    def points(self, record_id: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """Guess and truth of every sibling at a step, and the worst misjudged. Raises LabError."""
        from app.reliability_science import points

        found = self.found(record_id)
        chosen = chosen_of(found, asked)
        rows = points(found, **chosen)
        worst = sorted((one for one in rows if one["surprise"] is not None), key=lambda one: -one["surprise"])[:WORST]
        return chosen | {"points": rows, "worst": worst}

    def figures(self, record_id: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """All charts for a step and an estimate, as JSON that Plotly draws. Raises LabError."""
        from app.reliability_figures import figures

        found = self.found(record_id)
        _, findings = self._findings(record_id)
        with self.database.read() as tx:
            schedule = reliability.schedule(tx, record_id)
        titles = {name: spec.title for name, spec in REWARDS.items()}
        excess = schedule.excess_std or []
        return figures(found, findings, chosen_of(found, asked), titles, excess, dark=asked.get("dark") == "1")

    def npz(self, record_id: str) -> bytes:
        """The finished rows' arrays as a file."""
        from app.reliability_export import npz

        return npz(self.found(record_id))

    def table(self, record_id: str) -> Iterator[str]:
        """Lines of a table of everything stored, a sibling a line. Raises NotFound at once."""
        from app.reliability_export import columns, csv_line, table_lines

        with self.database.read() as tx:
            config = reliability.get_config(tx, record_id)
            rows = sorted({row for row, _ in reliability.places(tx, record_id)})

        def lines() -> Iterator[str]:
            yield csv_line(columns(config))
            for some in reliability.in_turns(rows, config):
                with self.database.read() as tx:
                    stored = reliability.measured(tx, record_id, some)
                yield from table_lines(config, stored)

        return lines()

    def simulate(self, record_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What a fixed list of strategies would have gained at a step, from what was measured. Raises LabError."""
        from app.reliability_simulation import simulated

        found = self.found(record_id)
        unknown = sorted(str(name)[:40] for name in body.keys() - {"step", "draw", "truth"})
        if unknown:
            raise LabError(f"expected step, draw and truth, got {', '.join(unknown)}")
        asked = {name: str(body[name]) for name in ("step", "truth") if body.get(name) is not None}
        chosen = chosen_of(found, asked)
        draw = body.get("draw", min(5, found.config.num_siblings))
        if type(draw) is not int or not 2 <= draw <= found.config.num_siblings:
            raise LabError(f"draw: expected a whole number from 2 to {found.config.num_siblings}, got {draw!r:.40}")
        return simulated(found, chosen["step"], draw, chosen["truth"])

    def signal(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Where a reward's guess was measured to carry a signal: {known, record, steps: {step: "signal" or "none"}}.

        From the newest finished measurement of that model, reward, number of steps and kind of step, which began with
        noise alone; a step that is not in `steps` was not measured, or not well enough to say. Raises LabError.
        """
        from app.reliability_science import signals

        model, reward, kind = (asked.get(name, "") for name in ("model", "reward", "step_kind"))
        if kind not in STEP_KINDS:
            raise LabError(f"step_kind: expected one of {', '.join(STEP_KINDS)}, got {kind!r:.60}")
        steps = _whole(asked.get("num_steps", ""))
        with self.database.read() as tx:
            rows = reliability.newest_finished(tx, model)
        for row in rows:
            base = row.config["base"]
            same = (base["num_steps"], base["step_kind"]) == (steps, kind) and row.config["start_sigma"] is None
            if same and reward in base["rewards"]:
                found, known = self.found(row.id), self._known(row.id)
                with known.lock:
                    if reward not in known.signals:
                        known.signals[reward] = {str(step): word for step, word in signals(found, reward).items()}
                return {"known": True, "record": row.id, "steps": known.signals[reward]}
        return {"known": False, "record": None, "steps": {}}


def chosen_of(found: "Measured", asked: Mapping[str, str]) -> dict[str, Any]:
    """The step, estimate, proxy and truth that are asked for; what is not said is as a search would have it."""
    config = found.config
    scored = (*config.base.rewards, "total")
    chosen: dict[str, Any] = {"step": found.steps[len(found.steps) // 2]}
    if "step" in asked:
        chosen["step"] = _whole(asked["step"])
    chosen |= {"estimate": asked.get("estimate", config.primary), "proxy": asked.get("proxy", config.optimised)}
    chosen |= {"truth": asked.get("truth", config.optimised)}
    known = {"step": found.steps, "estimate": config.estimates, "proxy": scored, "truth": scored}
    for name, among in known.items():
        if chosen[name] not in among:
            listed = ", ".join(str(one) for one in among)
            raise LabError(f"{name}: expected one of {listed}, got {str(chosen[name])[:60]!r}")
    return chosen


def _rows(config: MeasureConfig, stored: Mapping[int, list[tuple[int, str]]]) -> list[dict[str, Any]]:
    """Every row that is planned, with the steps that are stored and its newest sheet of final pictures."""
    rows = []
    for row, (prompt, seed) in enumerate(config.pairs):
        steps = stored.get(row, [])
        done = [step for step, _ in steps]
        rows.append(
            {"row": row, "prompt": prompt, "seed": seed, "steps_done": done, "finals": steps[-1][1] if steps else None}
        )
    return rows


def _progress(state: str, config: MeasureConfig, spent: Cost) -> float | None:
    return 1.0 if state == "succeeded" else fraction(spent.nfe, planned(config).nfe)


def name_of(value: Any) -> str | None:
    """A name as a page sends it, None for none. Raises ConfigError."""
    if value is None or (isinstance(value, str) and len(value) <= 200):
        return value.strip() or None if value else None
    raise ConfigError({"name": f"expected at most 200 characters, got {value!r:.60}"})


def _whole(text: Any) -> int:
    """A whole number from an address. Raises LabError."""
    told = str(text)
    if not (told.isascii() and told.isdecimal() and len(told) <= 6):
        raise LabError(f"expected a whole number, got {told[:40]!r}")
    return int(told)
