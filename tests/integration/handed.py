"""A lab with a record of every kind, to be handed on: a session, a measurement, a fine-tune with a watched search."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from safetensors.numpy import save_file

from app.services import Lab
from app.settings import Settings
from app.worker import Worker
from storage.columns import metadata
from storage.tags import set_tags
from tests.fakes import fake_toolbox
from tests.integration import test_measuring, test_training, test_worker

HOSTILE = "\u202e<img src=x onerror=alert(1)>'\"; DROP TABLE records; --"


def open_lab(folder: Path) -> Lab:
    return Lab(Settings(folder, recorded=None))


def filled(folder: Path) -> dict[str, str]:
    """Fill a fresh data folder; returns the ids by kind."""
    with closing(open_lab(folder)) as lab:
        ids = {
            "session": test_worker.start(lab, prompt=f"a photo of a red circle {HOSTILE}", num_steps=6, window_min=0.6),
            "reliability": test_measuring.start(lab),
            "train": test_training.start(lab, noise_source="search", watch_every=1),
        }
        tools = replace(fake_toolbox(), save_state=save_state)
        for lane in ("interactive", "batch", "batch"):
            assert Worker(lab.database, lab.artifacts, tools, lane=lane).run_one()
        lab.change_record(ids["session"], {"name": HOSTILE, "note": "**see** [this](javascript:alert(1))"})
        with lab.database.write() as tx:
            set_tags(tx, ids["session"], ["for the talk", "red"])
    return ids


def save_state(state: Mapping[str, Any], folder: Path) -> None:
    """The real one's files in their real formats."""
    (folder / "ema").mkdir()
    for part in (folder, folder / "ema"):
        save_file({"weights": state["weights"]}, part / "pytorch_lora_weights.safetensors")
    (folder / "trainer.json").write_text(json.dumps({"state": {"epoch": state["epoch"]}, "sha256": {}}))


def rows(lab: Lab, *left_out: str) -> dict[str, Any]:
    """Every row of a lab by table but what is one lab's own: jobs, counters, marks, where checkpoints lie."""
    found = {}
    with lab.database.read() as tx:
        for table in metadata.sorted_tables:
            if table.name.startswith("job") or table.name in ("marks", *left_out):
                continue
            columns = [one for one in table.columns if one.name not in ("seq", "job_id", "folder", "star", "locked")]
            found[table.name] = [
                dict(row._mapping) for row in tx.execute(sa.select(*columns).order_by(*table.primary_key.columns))
            ]
    return found


def files(folder: Path) -> set[str]:
    """The names of everything under a folder but the database's."""
    return {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file() and "lab.sqlite" not in one.name}
