"""The benchmarks can be run: each is there under its name, and what they build is what they say."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel

from app.settings import ROOT
from core.models.registry import find
from tests.benchmarks import library, sd35
from tests.benchmarks.__main__ import BENCHMARKS, main
from tests.benchmarks.measuring import made_up_session, picture, temporary_lab


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_there_and_says_what_it_measures(name: str) -> None:
    assert getattr(importlib.import_module(f"tests.benchmarks.{BENCHMARKS[name]}"), name).__doc__


def test_one_benchmark_by_name_keeps_what_is_known_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"batching": {"times_faster": 2.0}}))
    main(path, ["recording"])
    found = json.loads(path.read_text())
    assert found["batching"] == {"times_faster": 2.0} and found["recording"]["recorded_event_ms"] > 0


def test_an_unknown_benchmark_is_refused() -> None:
    asked = [sys.executable, "-m", "tests.benchmarks", "unused.json", "nosuch"]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert told.returncode == 2 and "nosuch" in told.stderr and not (ROOT / "unused.json").exists()


def test_a_made_up_session_is_a_whole_one() -> None:
    with temporary_lab() as lab:
        record_id = made_up_session(lab, steps=3, iterations=2, candidates=4, own_pictures=True)
        view = lab.session_view(record_id) or {}
    assert (view["state"], len(view["steps"]), len(view["iterations"])) == ("succeeded", 3, 4)
    images = [name for row in view["iterations"] for name in row["images"]]
    assert len(images) == 16 == len(set(images))


def test_a_made_up_library_is_as_large_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "REPEATS", 2)
    found = library.measured(50)
    assert (found["records"], found["candidates"]) == (52, 50 * library.CANDIDATES)
    assert all(found[f"{name}_p95_ms"] > 0 for name in ("list", "filter", "open", "compare"))


def test_the_search_with_sd35_runs_at_tiny_size() -> None:
    found = sd35.measured(tiny_size=True)
    assert found["candidates"] == 16 * 4 and found["batch_size"] == 16
    assert 0 < found["bare_model_share"] < 1.5 and 0 < found["share_of_ceiling"] < 1
    assert found["size"].startswith("tiny")


def test_the_true_sd35_is_what_the_registry_says() -> None:
    spec = find("sd3.5-medium")
    with torch.device("meta"):
        transformer, vae = SD3Transformer2DModel(**sd35.TRANSFORMER), AutoencoderKL(**sd35.DECODER)
    assert spec and sum(value.numel() for value in transformer.state_dict().values()) == spec.transformer_weights
    assert sum(value.numel() for value in vae.parameters()) == spec.vae_weights


def test_pictures_differ() -> None:
    assert len({picture(number).tobytes() for number in range(2_000)}) == 2_000
    assert picture(5).shape == (64, 64, 3) and picture(5).dtype == np.uint8
