"""LoRA adapters: both formats give the arithmetic written out by hand, and what does not fit is refused in words."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.errors import ModelError
from core.models.adapters import load_adapter, merge_adapters
from core.models.files import find_adapter
from core.models.flux import FluxFlowModel
from core.models.sd3 import SD3FlowModel
from tests import tiny

PROMPT = "a photo of a red circle"
# Flow-GRPO's targets (its train_sd3.py): attention of both streams.
TARGETS = ["add_k_proj", "add_q_proj", "add_v_proj", "to_add_out", "to_k", "to_q", "to_v", "to_out.0"]
Model = SD3FlowModel | FluxFlowModel


def velocity(model: Model) -> Tensor:
    latents = torch.randn(2, *model.latent_shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.velocity(latents, 0.6, model.encode(PROMPT, 4.5))


def make(family: str) -> Model:
    return tiny.sd3_model() if family == "sd3" else tiny.flux_model()


def trained(model: Model, *, r: int = 4, alpha: float = 8, **more: Any) -> Any:
    """The transformer under PEFT with random adapter weights; the model's velocity shows them."""
    config = LoraConfig(r=r, lora_alpha=alpha, target_modules=TARGETS, init_lora_weights="gaussian", **more)
    wrapped = get_peft_model(model.pipeline.transformer, config)
    generator = torch.Generator().manual_seed(2)
    for key, parameter in wrapped.named_parameters():
        if "lora_" in key:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2
    return wrapped


def as_peft(wrapped: Any, folder: Path) -> Path:
    wrapped.save_pretrained(folder)
    return folder


def as_diffusers(wrapped: Any, folder: Path) -> Path:
    config = wrapped.peft_config["default"]
    weights = get_peft_model_state_dict(wrapped)
    state = {f"transformer.{key.removeprefix('base_model.model.')}": value for key, value in weights.items()}
    kept = ("r", "lora_alpha", "alpha_pattern", "rank_pattern")
    told = {f"transformer.{key}": getattr(config, key) for key in kept} | {"transformer.target_modules": TARGETS}
    folder.mkdir(exist_ok=True)
    file = folder / "pytorch_lora_weights.safetensors"
    save_file(state, file, metadata={"lora_adapter_metadata": json.dumps(told)})
    return file


@pytest.mark.parametrize("save", [as_peft, as_diffusers])
@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_both_formats_give_the_trained_velocity(family: str, save: Callable[[Any, Path], Path], tmp_path: Path) -> None:
    original = make(family)
    path = save(trained(original, alpha_pattern={"to_q": 2.0}, rank_pattern={"to_v": 3}), tmp_path / "lora")
    expected = velocity(original)
    model = make(family)
    before = velocity(model)
    load_adapter(model, path)
    assert not expected.allclose(before, atol=1e-2)
    torch.testing.assert_close(velocity(model), expected, atol=1e-5, rtol=0)
    assert not any(parameter.requires_grad for parameter in model.pipeline.transformer.parameters())


def test_a_diffusers_pipeline_reads_the_same(tmp_path: Path) -> None:
    path = as_diffusers(trained(make("sd3")), tmp_path / "lora")
    ours, theirs = make("sd3"), make("sd3")
    load_adapter(ours, path.parent)
    theirs.pipeline.load_lora_weights(path.parent)
    torch.testing.assert_close(velocity(ours), velocity(theirs), atol=1e-6, rtol=0)


def test_older_keys_with_alphas_of_their_own(tmp_path: Path) -> None:
    wrapped = trained(make("sd3"), r=2, alpha=6)
    state: dict[str, Tensor] = {}
    for key, value in get_peft_model_state_dict(wrapped).items():
        layer, _, side = key.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        state[f"transformer.{layer}.lora.{'down' if side == 'lora_A' else 'up'}.weight"] = value
        state[f"transformer.{layer}.alpha"] = torch.tensor(6.0)
    save_file(state, tmp_path / "old.safetensors")
    model, expected = make("sd3"), make("sd3")
    load_adapter(model, tmp_path)
    trained(expected, r=2, alpha=6)
    torch.testing.assert_close(velocity(model), velocity(expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("weight", [0.0, 0.5, -1.0])
def test_weight_scales_what_the_adapter_adds(weight: float, tmp_path: Path) -> None:
    path = as_peft(trained(make("sd3"), r=4, alpha=8), tmp_path / "lora")
    model, by_hand = make("sd3"), make("sd3")
    load_adapter(model, path, weight=weight)
    state = load_file(path / "adapter_model.safetensors")
    layers = dict(by_hand.pipeline.transformer.named_modules())
    for key, down in state.items():
        if ".lora_A." in key:
            up = state[key.replace("lora_A", "lora_B")]
            name = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            layers[name].weight += weight * 8 / 4 * up @ down
    torch.testing.assert_close(velocity(model), velocity(by_hand), atol=1e-5, rtol=0)


def test_two_adapters_add_up_and_merge(tmp_path: Path) -> None:
    path = as_peft(trained(make("sd3")), tmp_path / "lora")
    once, twice = make("sd3"), make("sd3")
    load_adapter(once, path, weight=1.5)
    load_adapter(twice, path, name="first")
    load_adapter(twice, path, name="second", weight=0.5)
    torch.testing.assert_close(velocity(twice), velocity(once), atol=1e-5, rtol=0)
    merge_adapters(twice)
    torch.testing.assert_close(velocity(twice), velocity(once), atol=1e-5, rtol=0)
    assert not any("lora" in key for key in twice.pipeline.transformer.state_dict())
    load_adapter(twice, path, name="first")  # the names are free again
    with pytest.raises(ModelError, match="an adapter named first is loaded already"):
        load_adapter(twice, path, name="first")


def test_adapters_fit_half_precision_weights(tmp_path: Path) -> None:
    path = as_peft(trained(make("sd3")), tmp_path / "lora")
    exact, half = make("sd3"), make("sd3")
    half.pipeline.to(torch.bfloat16)
    for model in (exact, half):
        load_adapter(model, path)
    assert (velocity(half) - velocity(exact)).pow(2).mean().sqrt() < 0.1 * velocity(exact).std()
    merge_adapters(half)
    assert {value.dtype for value in half.pipeline.transformer.parameters()} == {torch.bfloat16}
    assert (velocity(half) - velocity(exact)).pow(2).mean().sqrt() < 0.1 * velocity(exact).std()


def _spoil(state: dict[str, Tensor], how: str) -> dict[str, Tensor]:
    first = next(iter(state))
    if how == "shape":
        state[first] = state[first][:, 1:].contiguous()
    if how == "half":
        del state[first]
    if how == "layer":
        state = {key.replace("transformer_blocks.0", "transformer_blocks.7"): value for key, value in state.items()}
    if how == "text":
        state["text_encoder.layers.0.fc1.lora_magnitude_vector"] = torch.ones(3)
    if how == "nan":
        state[first] = state[first] * torch.nan
    return state if how != "none" else {}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("shape", r"expected matrices of shape \(4, 16\) and \(16, 4\), got \(4, 15\)"),
        ("half", r"expected both matrices of every layer, got one of transformer_blocks\.0"),
        ("layer", r"the model has no linear layer transformer_blocks\.7.* and \d+ more"),
        ("text", r"what is not, such as text_encoder\.layers"),
        ("nan", "values that are not finite"),
        ("none", "got none"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(how: str, message: str, tmp_path: Path) -> None:
    file = as_peft(trained(make("sd3")), tmp_path / "lora") / "adapter_model.safetensors"
    save_file(_spoil(load_file(file), how), file)
    model = make("sd3")
    before = velocity(model)
    with pytest.raises(ModelError, match=message):
        load_adapter(model, tmp_path / "lora")
    assert velocity(model).equal(before)


def test_an_adapter_of_another_model_or_kind_is_refused(tmp_path: Path) -> None:
    path = as_peft(trained(make("sd3")), tmp_path / "lora")
    with pytest.raises(ModelError, match=r"on tiny-flux: .*(expected matrices|no linear layer)"):
        load_adapter(make("flux"), path)
    config = path / "adapter_config.json"
    for change, kind in (({"peft_type": "LOKR"}, "LOKR"), ({"use_dora": True}, "DORA")):
        config.write_text(json.dumps(json.loads(config.read_text()) | change))
        with pytest.raises(ModelError, match=f"expected an adapter of type LORA, got {kind}"):
            load_adapter(make("sd3"), path)
    config.write_text("[1]")
    with pytest.raises(ModelError, match="cannot be read: expected an object"):
        load_adapter(make("sd3"), path)


def test_only_safetensors_are_found(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match=r"found 0 \.safetensors files"):
        find_adapter(tmp_path)
    with pytest.raises(ModelError, match=r"expected a LoRA as a \.safetensors file"):
        find_adapter(tmp_path / "adapter_model.bin")
    (tmp_path / "broken.safetensors").write_bytes(b"\x08")
    assert find_adapter(tmp_path) == tmp_path / "broken.safetensors"
    with pytest.raises(ModelError, match=r"broken\.safetensors: cannot be read"):
        load_adapter(make("sd3"), tmp_path)
