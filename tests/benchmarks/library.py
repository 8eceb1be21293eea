"""What the library costs once there is much in it: lists, filters, opening a session, comparing some."""

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from typing import Any

import numpy as np
import sqlalchemy as sa

from app.comparing import compared
from app.recorder import Recorder
from app.services import Lab
from app.ui.components.drawn import message
from core.config import PRESETS, ExploreConfig, to_dict
from core.events import ArmFinished, Cost
from core.measure_config import MeasureConfig
from core.train_config import TrainConfig
from storage import reliability, runs
from storage.sessions import get_config, new_id
from storage.tables import metadata, records, tags
from tests.benchmarks.measuring import made_up_session, picture, quantile, temporary_lab, timed

RECORDS = 10_000
CANDIDATES = 100  # of each
OTHERS = 50  # one in so many is a measurement, and one a fine-tune
REPEATS = 60
YEAR = 365 * 86_400.0
NEWEST = 1_795_435_200.0  # when the newest was made
_COPIED = ("sessions", "steps", "step_rewards", "iterations", "candidates", "candidate_rewards", "arms", "arm_rewards")
_COLOURS, _SHAPES = ("red", "green", "blue", "yellow", "purple", "black"), ("circle", "square", "star", "triangle")

FILTERS: tuple[dict[str, str], ...] = (
    {"text": "blue star"},
    {"text": "no prompt has this"},
    {"text": "kept talk", "sort": "reward"},
    {"tag": "talk"},
    {"preset": "best-of-k", "sort": "gain"},
    {"kind": "train"},
    {"kind": "session", "state": "failed"},
    {"reward": "shapes-verifier", "sort": "cost"},
    {"star": "1", "sort": "name"},
    {"since": "2026-03-01", "until": "2026-03-14"},
    {"trash": "1"},
)


def library() -> dict[str, Any]:
    """Listing, filtering, opening, comparing over 10,000 sessions of 100 candidates, and growth from a tenth of that.

    Milliseconds until the lab has its answer as JSON. Target: lists and filters 95% within 300 ms.
    """
    tenth, whole = measured(RECORDS // 10), measured(RECORDS)
    growth = {
        f"{name}_growth": whole[f"{name}_median_cpu_ms"] / tenth[f"{name}_median_cpu_ms"] for name in _operations()
    }
    return whole | growth | {"target_p95_ms": 300}


def measured(count: int) -> dict[str, Any]:
    """Each operation's median and 95% quantile in milliseconds, in a lab of so many sessions."""
    with temporary_lab() as lab:
        built = timed(lambda: fill(lab, count)).wall
        found: dict[str, Any] = {"build_seconds": built}
        with lab.database.read() as tx:
            for name in ("records", "candidates"):
                found[name] = tx.scalar(sa.select(sa.func.count()).select_from(metadata.tables[name]))
        for name, make in _operations().items():
            work = make(lab)
            next(work)  # the first fills caches, as the lab's first visitor does
            spent = [timed(lambda work=work: next(work)) for _ in range(REPEATS)]
            for clock, added in (("wall", ""), ("cpu", "_cpu")):
                each = [1000.0 * getattr(one, clock) for one in spent]
                found[f"{name}_median{added}_ms"] = statistics.median(each)
                found[f"{name}_p95{added}_ms"] = quantile(each, 0.95)
    return found


def _operations() -> dict[str, Callable[[Lab], Iterator[object]]]:
    """What is measured: for each, a generator that does it once whenever it is asked for its next."""
    return {"list": _lists, "filter": _filters, "open": _opens, "compare": _compares}


def _lists(lab: Lab) -> Iterator[object]:
    """The first page in every order, and a page further down."""
    deep = lab.records(limit="200")["records"][-1]["id"]
    for sort in cycle(("newest", "reward", "gain", "cost", "name", "oldest")):
        yield json.dumps(lab.records(sort=sort, limit="24"))
        yield json.dumps(lab.records(sort=sort, limit="24", before=deep))


def _filters(lab: Lab) -> Iterator[object]:
    for asked in cycle(FILTERS):
        yield json.dumps(lab.records(limit="24", **asked))


def _opens(lab: Lab) -> Iterator[object]:
    for record_id in cycle(_sessions(lab, 50)):
        yield message("open", view=lab.session_view(record_id), titles={})


def _compares(lab: Lab) -> Iterator[object]:
    ids = _sessions(lab, 48)
    for start in cycle(range(0, len(ids) - 3, 4)):
        yield json.dumps(compared(lab, ids[start : start + 4]))


def _sessions(lab: Lab, count: int) -> list[str]:
    """Sessions from all over the year."""
    found = [row["id"] for row in lab.records(kind="session", sort="reward", limit="200")["records"]]
    return found[:: max(1, len(found) // count)][:count]


def fill(lab: Lab, count: int) -> None:
    """Put so many sessions into a lab, all with the rows and the pictures of one, and some records of other kinds."""
    model = _model_session(lab)
    rng = np.random.default_rng(0)
    with lab.database.write() as tx:
        config = get_config(tx, model)
        rows = [_record(rng, config, index, count) for index in range(count - 1)]
        tx.execute(sa.insert(records), rows)
        for name in _COPIED:  # one statement a table: every new record crossed with the rows of the first
            table = metadata.tables[name]
            own = [column for column in table.columns if column.name != "record_id"]
            crossed = sa.select(records.c.id, *own).join_from(records, table, sa.true())
            crossed = crossed.where(table.c.record_id == model, records.c.id != model)
            tx.execute(sa.insert(table).from_select(["record_id", *(column.name for column in own)], crossed))
        named = [{"record_id": row["id"], "tag": tag} for row in rows for tag in _tags(rng)]
        tx.execute(sa.insert(tags), named)
        for _ in range(count // OTHERS):
            reliability.create(tx, MeasureConfig((_prompt(rng),)))
            runs.create(tx, TrainConfig(prompts=(_prompt(rng), _prompt(rng))))


def _model_session(lab: Lab) -> str:
    """A session of `CANDIDATES` candidates with two arms, whose rows the others get."""
    record_id = made_up_session(lab, steps=5, iterations=5, candidates=CANDIDATES // 20, own_pictures=False)
    recorder = Recorder(lab.database, lab.artifacts, record_id)
    for arm, reward in (("search", 0.75), ("no_search", 0.5)):
        rewards = {"shapes-clip": reward, "shapes-verifier": 0.5}
        latents = np.zeros((1, 16, 8, 8), np.float32)
        recorder.record(ArmFinished(arm, picture(0), rewards, 1, (), latents, Cost(20, 1, 1, 0.5)))
    return record_id


def _record(rng: np.random.Generator, model: ExploreConfig, index: int, count: int) -> dict[str, Any]:
    """A row of `records` as a person's year would leave it: every column is there, as rows go in together."""
    preset, prompt = str(rng.choice(list(PRESETS))), _prompt(rng)
    found, plain = rng.normal(0.7, 0.1), rng.normal(0.65, 0.1)
    return {
        "id": new_id(),
        "kind": "session",
        "name": f"Figure {index}" if index % 7 == 0 else None,
        "prompt": prompt,
        "preset": preset,
        "model": "shapes-sd3",
        "state": "failed" if index % 40 == 0 else "succeeded",
        "headline": {"search": found, "no_search": plain},
        "reward": found,
        "star": index % 20 == 0,
        "note": "Kept for the **talk**, with the others of its kind.\n\n- look at the norm" if index % 5 == 0 else "",
        "deleted_at": NEWEST if index % 100 == 0 else None,
        "created_at": NEWEST - YEAR * (1 - index / count),
        "config": to_dict(replace(model, prompt=prompt, seed=index)),
        "config_hash": f"{index:064x}",
    }


def _prompt(rng: np.random.Generator) -> str:
    (one, other), (left, right) = rng.choice(_COLOURS, 2), rng.choice(_SHAPES, 2)
    return f"a photo of a {one} {left} left of a {other} {right}"


def _tags(rng: np.random.Generator) -> list[str]:
    return sorted({str(tag) for tag in rng.choice(["talk", "appendix", "figure 2", "odd"], rng.integers(0, 3))})
