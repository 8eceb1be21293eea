"""The real trainer on a tiny model in worker processes that are killed: what they leave is gone on with, bit for bit.

The processes are forked, so that none of them has to import torch again; each opens the database anew.
"""

import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from app.services import Lab
from app.settings import Settings
from app.toolbox import Toolbox, torch_toolbox
from app.train_runs import TrainRuns
from app.worker import BATCH, Worker
from core.config import SearchConfig
from core.models.adapters import load_adapter
from core.rewards.registry import Given
from core.train_config import TrainConfig
from storage import jobs, runs
from storage.artifacts import Artifacts
from storage.engine import open_database
from tests import tiny

KILLS = 5
CONFIG = TrainConfig(
    model="tiny-sd3",
    prompts=tuple(f"a photo of a {color} circle" for color in ("red", "blue", "green", "black")),
    rewards={"green": 1.0},
    epochs=8,
    prompts_per_epoch=2,
    group_size=3,
    num_steps=3,
    eval_steps=2,
    eval_prompts=2,
    window_min=0.0,
    lora_rank=2,
    micro_batch=6,
    learning_rate=1e-2,
    noise_source="search",
    search=SearchConfig("tried", 2, 1, 0.5),
    eval_every=4,
    sample_every=4,
    watch_every=4,
    checkpoint_every=2,
)
forked = multiprocessing.get_context("fork")


def green(images: Any, prompts: Any) -> Any:
    return images[:, 1].mean((1, 2))


@pytest.fixture(scope="module")
def toolbox() -> Toolbox:
    real, model = torch_toolbox("cpu"), tiny.sd3_model()
    return replace(real, load_model=lambda name: model, load_reward=lambda name: Given(name, green))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    opened = Lab(Settings(tmp_path / "data", recorded=None))
    yield opened
    opened.close()


def start(lab: Lab, **changes: Any) -> str:
    with lab.database.write() as tx:
        record_id = runs.create(tx, replace(CONFIG, **changes))
        jobs.enqueue(tx, kind=jobs.TRAIN, record_id=record_id, lane=BATCH)
    return record_id


def work(folder: Path, toolbox: Toolbox, owner: str) -> None:
    """A worker process's whole life."""
    settings = Settings(folder)
    torch.set_num_threads(1)
    worker = Worker(
        open_database(settings.database), Artifacts(settings.artifacts_dir), toolbox, owner=owner, lane=BATCH
    )
    worker.run_one()
    os._exit(0)


@pytest.fixture
def begin(lab: Lab, toolbox: Toolbox) -> Iterator[Callable[[str], Any]]:
    children = []

    def one(owner: str) -> Any:
        child = forked.Process(target=work, args=(lab.settings.data_dir, toolbox, owner), daemon=True)
        child.start()
        children.append(child)
        return child

    yield one
    for child in children:
        child.kill()
        child.join()


def result(lab: Lab, record_id: str) -> dict[str, Any]:
    """Everything that must not depend on how a run was run."""
    view = TrainRuns(lab).view(record_id)
    assert view is not None and view["state"] == "succeeded", view
    measured = ("peak_memory_mb",)
    epochs = [
        (row["epoch"], {k: v for k, v in row["metrics"].items() if k not in measured}, row["per_step"], row["nfe"])
        for row in view["epochs"]
    ]
    files = {
        file["name"]: file["sha256"] for file in view["checkpoints"][-1]["files"] if file["name"] != "trainer.json"
    }
    watched = [lab.session_view(one["session"]) for one in view["watched"]]
    arms = [one["arms"][0]["rewards"] for one in watched if one is not None]
    return {
        "weights": files,
        "epochs": epochs,
        "samples": [(row["epoch"], row["sheet"], row["rewards"]) for row in view["samples"]],
        "watched": [(one["epoch"], reward) for one, reward in zip(view["watched"], arms, strict=True)],
        "diagnosis": view["diagnosis"],
    }


def test_a_run_killed_at_random_moments_ends_with_the_same_weights_bit_for_bit(lab: Lab, begin: Any) -> None:
    undisturbed, record_id = start(lab), start(lab)
    child = begin("undisturbed")
    child.join(120)
    expected = result(lab, undisturbed)
    assert len(expected["weights"]) == 3 and [row[0] for row in expected["epochs"]] == list(range(9))
    assert [row[0] for row in expected["samples"]] == [0, 4, 8] and len(expected["watched"]) == 2

    def seen() -> tuple[str, int]:
        with lab.database.read() as tx:
            row = runs.run_row(tx, record_id)
            return row.state, row.seq

    chance, kills = random.Random(int.from_bytes(os.urandom(4))), 0
    while kills < KILLS and seen()[0] != "succeeded":
        child, before = begin(f"killed {kills}"), seen()[1]
        while child.is_alive() and seen()[1] < before + chance.choice((1, 3, 6)):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.06))
        if child.is_alive():
            child.kill()
            kills += 1
        child.join()
        with lab.database.write() as tx:
            jobs.expire(tx, f"killed {kills - 1}")
    if seen()[0] != "succeeded":
        begin("last").join(120)
    assert kills == KILLS
    found = result(lab, record_id)
    assert found["weights"] == expected["weights"]
    assert found == expected


def test_what_was_trained_is_loaded_as_a_model_and_draws_otherwise(lab: Lab, toolbox: Toolbox, begin: Any) -> None:
    record_id = start(lab, epochs=2)
    begin("trainer").join(120)
    tools = lab.with_trained(replace(toolbox, load_model=lambda name: tiny.sd3_model()))
    base, averaged, raw = (tools.load_model(f"tiny-sd3{more}") for more in ("", f"+{record_id}", f"+{record_id}:raw"))
    latents = torch.ones(1, *base.latent_shape)
    drawn = [
        model.velocity(latents, 0.7, model.encode("a photo of a red circle", 1.0)) for model in (base, averaged, raw)
    ]
    assert not torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[1], drawn[2])
    file, _ = TrainRuns(lab).lora(record_id, raw=True)
    by_diffusers = tiny.sd3_pipeline()
    by_diffusers.load_lora_weights(file.parent)
    model = tiny.sd3_model()
    load_adapter(model, file)
    model.pipeline = by_diffusers
    assert torch.equal(model.velocity(latents, 0.7, model.encode("a photo of a red circle", 1.0)), drawn[2])
