"""A search on the command line over a model folder and a LoRA that were named with it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from app.__main__ import main
from app.own_models import FOLDERS, LORAS
from core.models import registry
from tests import tiny


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODELS", "_folders", "_adapters"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    for variable in (FOLDERS, LORAS):
        monkeypatch.setenv(variable, "")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("own")
    tiny.sd3_pipeline(t5=True).save_pretrained(base / "sd3")
    layer, generator = "transformer.transformer_blocks.0.attn.to_q", torch.Generator().manual_seed(0)
    shapes = {"A": (2, 16), "B": (16, 2)}
    state = {f"{layer}.lora_{side}.weight": torch.randn(shape, generator=generator) for side, shape in shapes.items()}
    save_file(state, base / "lora.safetensors")
    return base


def searched(model: str, folders: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """The rewards a search comes to, by arm."""
    flags = [
        "--model-folder",
        f"sd3={folders / 'sd3'}",
        "--lora",
        f"tuned=sd3:{folders / 'lora.safetensors'}",
        "--model",
        model,
        "--data-dir",
        str(data),
    ]
    short = ["--steps", "3", "--num-candidates", "3", "--num-iterations", "1", "--arms", "ode"]
    reward = ["--reward", "shapes-clip=1"]
    assert main(["search", "a photo of a red circle", *flags, *short, *reward, "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told[0]["config"]["model"] == model
    return {one["arm"]: one["reward"] for one in told if one["event"] == "outcome"}


def test_own_models_are_searched(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, tuned = (searched(name, folders, tmp_path, capsys) for name in ("sd3", "tuned"))
    assert plain.keys() == tuned.keys() == {"search", "ode"}
    assert plain["ode"] != tuned["ode"]  # the LoRA draws something else
    assert main(["doctor", "--model", "tuned", "--data-dir", str(tmp_path)]) == 0
    assert "as its sessions took here" in capsys.readouterr().out


def test_a_wrong_folder_is_told_before_anything_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--model-folder", f"mine={tmp_path}", "--data-dir", str(tmp_path / "data")]) == 2
    assert capsys.readouterr().err.endswith("expected a diffusers pipeline, but it lacks model_index.json\n")
    assert main(["serve", "--lora", "mine", "--data-dir", str(tmp_path / "data")]) == 2
    assert "--lora: expected NAME=BASE:PATH" in capsys.readouterr().err
