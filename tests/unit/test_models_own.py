"""Model folders and LoRAs that whoever starts the lab names: read, loaded, passed on, refused in words."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from app.own_models import FOLDERS, LORAS, name_models
from core.errors import ConfigError, ModelError
from core.models import registry
from core.models.folders import count_weights, describe
from core.models.protocol import FlowModel
from core.models.registry import add_folder, add_lora, find, load_model, usable
from tests import tiny


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MODELS", "_folders", "_adapters"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("folders") / "tiny"
    tiny.sd3_pipeline().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def flux_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("folders") / "flux"
    tiny.flux_pipeline().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loras") / "redder.safetensors"
    layer, generator = "transformer.transformer_blocks.0.attn.to_q", torch.Generator().manual_seed(0)
    state = {f"{layer}.lora_{side}.weight": torch.randn(shape, generator=generator) for side, shape in SHAPES}
    save_file(state, path)
    return path


SHAPES = (("A", (2, 16)), ("B", (16, 2)))


def velocity(model: FlowModel) -> Tensor:
    latents = torch.randn(1, *model.latent_shape, generator=torch.Generator().manual_seed(0))
    return model.velocity(latents, 0.5, model.encode("a photo of a red circle", 4.5))


def test_a_folder_is_described_by_its_files(folder: Path, flux_folder: Path) -> None:
    pipeline, told = tiny.sd3_pipeline(), describe(folder)
    assert (told.family, told.side, told.t5) == ("sd3", 16, False)
    state = pipeline.transformer.state_dict()  # with the table of positions, as it lies on the disk
    assert told.transformer_weights == sum(value.numel() for value in state.values())
    assert told.vae_weights == sum(value.numel() for value in pipeline.vae.parameters())
    encoders = (pipeline.text_encoder, pipeline.text_encoder_2)
    assert told.text_weights == sum(value.numel() for one in encoders for value in one.state_dict().values())
    told = describe(flux_folder)
    assert (told.family, told.t5, told.distilled_guidance) == ("flux", True, True)


def test_shards_are_counted_and_damage_is_told(folder: Path, tmp_path: Path) -> None:
    whole = count_weights(folder / "transformer")
    tiny.sd3_pipeline().transformer.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1 and count_weights(tmp_path) == whole
    next(tmp_path.glob("*.safetensors")).write_bytes(b"\x08")
    with pytest.raises(ModelError, match="expected a safetensors file"):
        count_weights(tmp_path)


def test_a_named_folder_is_a_model(folder: Path) -> None:
    add_folder("mine", folder)
    add_folder("mine", folder)  # every process names it again
    assert usable("mine") == (True, "")
    spec = find("mine")
    assert spec and (spec.height, spec.guidance_pair, spec.max_sequence_length, spec.page) == (16, True, 0, "")
    model = load_model("mine")
    assert model.id == "mine"
    torch.testing.assert_close(velocity(model), velocity(tiny.sd3_model()), atol=1e-5, rtol=0)


def test_a_named_lora_is_a_model_with_it_merged(folder: Path, lora: Path) -> None:
    add_folder("mine", folder)
    add_lora("redder", "mine", lora)
    assert usable("redder") == (True, "")
    model = load_model("redder")
    assert model.id == "redder" and not any("lora" in key for key in model.pipeline.transformer.state_dict())  # type: ignore[attr-defined]
    assert (velocity(model) - velocity(load_model("mine"))).abs().max() > 1e-3
    add_lora("shaped", "shapes-sd3", lora)
    with pytest.raises(ModelError, match="on shaped: .* expected matrices"):
        load_model("shaped")


def test_what_is_no_model_is_refused(folder: Path, lora: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lacks model_index\.json"):
        add_folder("mine", tmp_path)
    for name in ("shapes-sd3", "sd3.5-medium"):
        with pytest.raises(ModelError, match="there is a model named"):
            add_folder(name, folder)
    with pytest.raises(ModelError, match="expected to be of letters"):
        add_folder("../x", folder)
    with pytest.raises(ModelError, match="expected one of the models"):
        add_lora("mine", "nosuch", lora)
    with pytest.raises(ModelError, match="expected a LoRA"):
        add_lora("mine", "shapes-sd3", tmp_path / "none")
    index = json.loads((folder / "model_index.json").read_text())
    other = tmp_path / "other"
    tiny.sd3_pipeline().save_pretrained(other)
    (other / "model_index.json").write_text(json.dumps(index | {"_class_name": "PixArtAlphaPipeline"}))
    with pytest.raises(ModelError, match="expected a StableDiffusion3Pipeline or FluxPipeline, got 'PixArtAlpha"):
        add_folder("mine", other)


def test_a_folder_that_is_gone_is_not_usable(tmp_path: Path) -> None:
    tiny.sd3_pipeline().save_pretrained(tmp_path)
    add_folder("mine", tmp_path)
    (tmp_path / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert usable("mine") == (False, "its folder lacks vae/diffusion_pytorch_model.safetensors by now")


def test_flags_and_environment_name_models(folder: Path, lora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    environ = {FOLDERS: f"first={folder}"}
    name_models(
        [f"second={folder.name}"],
        [f"redder=first:{lora}", f"real=stabilityai/stable-diffusion-3.5-medium:{lora}"],
        environ,
    )
    assert usable("first")[0] and usable("second")[0] and usable("redder")[0] and not usable("real")[0]
    assert environ[FOLDERS] == f"first={folder};second={folder}"
    name_models(environ=environ)  # a process started from here
    assert environ[LORAS].startswith(f"redder=first:{lora};real=")


@pytest.mark.parametrize(
    ("folders", "loras", "expected"),
    [(["mine"], [], "NAME=PATH"), (["=x"], [], "NAME=PATH"), ([], ["a=b"], "NAME=BASE:PATH"), ([], ["a"], "BASE:PATH")],
)
def test_other_forms_are_refused(folders: list[str], loras: list[str], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        name_models(folders, loras, {})
