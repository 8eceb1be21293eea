"""The model registry: what can be used, why not, and loading from folders."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.errors import ModelError
from core.models import files, registry
from core.models.loading import load_folder
from core.models.registry import MODELS, ModelSpec, load_model, usable
from core.models.sd3 import SD3FlowModel
from tests import tiny


def find_spec(name: str) -> ModelSpec:
    spec = registry.find(name)
    assert spec is not None
    return spec


TINY = replace(MODELS["shapes-sd3"], id="tiny", height=16, width=16)


@pytest.fixture(scope="module")
def half_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny.sd3_pipeline().to(torch.float16).save_pretrained(folder)
    return folder


def test_registries_need_the_standard_library_only() -> None:
    code = (
        "import sys; import core.models.registry as m, core.rewards.registry as r;"
        "[m.usable(i) for i in m.MODELS]; [r.usable(n) for n in r.REWARDS];"
        "heavy = {'torch', 'numpy', 'PIL', 'scipy', 'diffusers', 'transformers', 'huggingface_hub'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(registry.__file__).parents[2])


def test_half_precision_folders_load_as_float32_on_the_cpu(half_folder: Path) -> None:
    model = load_folder(TINY, half_folder)
    assert isinstance(model, SD3FlowModel)
    parts = [part for part in model.pipeline.components.values() if isinstance(part, torch.nn.Module)]
    assert len(parts) == 4
    for part in parts:
        assert not part.training
        assert {(p.dtype, p.requires_grad) for p in part.parameters()} == {(torch.float32, False)}
    latents = torch.randn(1, *model.latent_shape, generator=torch.Generator().manual_seed(0))
    original = tiny.sd3_model()
    expected = original.velocity(latents, 0.5, original.encode("a photo of a star", 4.5))
    velocity = model.velocity(latents, 0.5, model.encode("a photo of a star", 4.5))
    torch.testing.assert_close(velocity, expected, atol=0.02, rtol=0)  # weights were rounded once, to half


def test_flux_folders_load(tmp_path: Path) -> None:
    tiny.flux_pipeline().save_pretrained(tmp_path)
    sizes = {"height": 16, "width": 24, "max_sequence_length": 16, "transformer_weights": 0, "text_weights": 0}
    spec = replace(find_spec("flux.1-dev"), id="tiny-flux", **sizes)
    model, original = load_folder(spec, tmp_path), tiny.flux_model()
    latents = torch.randn(1, *model.latent_shape, generator=torch.Generator().manual_seed(0))
    velocities = [m.velocity(latents, 0.5, m.encode("a red circle", 3.5)) for m in (model, original)]
    torch.testing.assert_close(*velocities, atol=1e-5, rtol=0)


def test_embedded_model_loads_by_id(half_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ASSETS", half_folder.parent)
    monkeypatch.setitem(MODELS, "tiny", replace(TINY, source="tiny"))
    assert usable("tiny") == (True, "")
    model = load_model("tiny")
    assert model.id == "tiny" and model.latent_shape == (4, 8, 8) and model.device.type == "cpu"


def test_unknown_ids_are_named() -> None:
    with pytest.raises(ModelError, match="expected one of the models shapes-sd3, .*, got 'gpt'"):
        load_model("gpt")
    assert usable("gpt")[0] is False and "shapes-sd3" in usable("gpt")[1]


def test_missing_assets_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ASSETS", tmp_path)
    fine, why = usable("shapes-sd3")
    assert not fine and "assets/shapes-sd3" in why and "model_index.json" in why
    with pytest.raises(ModelError, match="incomplete"):
        load_model("shapes-sd3")


def _as_snapshot(cache: Path, repository: str, source: Path) -> Path:
    base = cache / f"models--{repository.replace('/', '--')}"
    (base / "refs").mkdir(parents=True)
    (base / "refs" / "main").write_text("abc123")
    folder = base / "snapshots" / "abc123"
    folder.parent.mkdir()
    folder.symlink_to(source, target_is_directory=True)
    return folder


def test_downloaded_models_are_found(tmp_path: Path, half_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    fine, why = usable("sd3.5-medium")
    assert not fine and "not on this machine" in why
    assert "`python -m app download stabilityai/stable-diffusion-3.5-medium`" in why and "licence" in why
    folder = _as_snapshot(tmp_path, "stabilityai/stable-diffusion-3.5-medium", half_folder)
    assert usable("sd3.5-medium") == (True, "")
    assert registry.locate_model(find_spec("sd3.5-medium")) == (folder, "")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HF_HUB_CACHE": "/a"}, "/a"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({}, str(Path("~/.cache/huggingface/hub").expanduser())),
    ],
)
def test_cache_follows_the_hubs_variables(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(files.hub_cache()) == expected


def test_incomplete_downloads_are_named(tmp_path: Path) -> None:
    tiny.sd3_pipeline().save_pretrained(tmp_path)
    assert files.missing_from_pipeline(tmp_path) is None
    weights = tmp_path / "transformer" / "diffusion_pytorch_model.safetensors"
    index = weights.with_name(f"{weights.name}.index.json")
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    weights.rename(weights.with_name("one.safetensors"))
    assert files.missing_from_pipeline(tmp_path) == "transformer/two.safetensors"
    index.write_text("{")
    assert files.missing_from_pipeline(tmp_path) == f"transformer/a readable {index.name}"
    index.unlink()
    assert files.missing_from_pipeline(tmp_path) == "transformer/diffusion_pytorch_model.safetensors"
    (tmp_path / "text_encoder" / "model.safetensors").unlink()
    (tmp_path / "transformer" / "config.json").unlink()
    assert files.missing_from_pipeline(tmp_path) in {"text_encoder/model.safetensors", "transformer/config.json"}
    (tmp_path / "model_index.json").write_text("not json")
    assert files.missing_from_pipeline(tmp_path) == "a readable model_index.json"
    assert files.missing_from_pipeline(tmp_path / "nothing") == "model_index.json"


def test_damaged_weights_are_a_model_error(tmp_path: Path) -> None:
    tiny.sd3_pipeline().save_pretrained(tmp_path)
    (tmp_path / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"\x08")
    with pytest.raises(ModelError, match="cannot be loaded from"):
        load_folder(TINY, tmp_path)
