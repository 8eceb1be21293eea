"""Memory: estimates against real weights, refusals with figures, encoders in turns with the transformer, tiles."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel, SD3Transformer2DModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from core.errors import ModelError
from core.models import loading, memory, placement, registry
from core.models.flux import FluxFlowModel
from core.models.loading import load_folder
from core.models.memory import available_memory, fitting, must_swap, need
from core.models.placement import dtype_on, fitting_batch, free_memory, put
from core.models.registry import MODELS, ModelSpec, find
from core.models.sd3 import SD3FlowModel
from tests import tiny

# The makers' published configurations.
SD3 = {
    "sample_size": 128, "patch_size": 2, "in_channels": 16, "out_channels": 16, "attention_head_dim": 64,
    "joint_attention_dim": 4096, "pooled_projection_dim": 2048, "qk_norm": "rms_norm",
}  # fmt: skip
MEDIUM: dict[str, Any] = SD3 | {
    "num_layers": 24, "num_attention_heads": 24, "caption_projection_dim": 1536, "pos_embed_max_size": 384,
    "dual_attention_layers": tuple(range(13)),
}  # fmt: skip
LARGE: dict[str, Any] = SD3 | {
    "num_layers": 38, "num_attention_heads": 38, "caption_projection_dim": 2432, "pos_embed_max_size": 192,
}  # fmt: skip
FLUX: dict[str, Any] = {
    "patch_size": 1, "in_channels": 64, "num_layers": 19, "num_single_layers": 38, "attention_head_dim": 128,
    "num_attention_heads": 24, "joint_attention_dim": 4096, "pooled_projection_dim": 768, "guidance_embeds": True,
}  # fmt: skip


def spec_of(name: str) -> ModelSpec:
    spec = find(name)
    assert spec is not None
    return spec


def stored(module: torch.nn.Module) -> int:
    """How many numbers its file holds."""
    return sum(value.numel() for value in module.state_dict().values())


@pytest.mark.parametrize(
    ("name", "kind", "config"),
    [
        ("sd3.5-medium", SD3Transformer2DModel, MEDIUM),
        ("sd3.5-large", SD3Transformer2DModel, LARGE),
        ("flux.1-dev", FluxTransformer2DModel, FLUX),
        ("flux.1-schnell", FluxTransformer2DModel, FLUX | {"guidance_embeds": False}),
    ],
)
def test_known_transformers_have_as_many_weights_as_told(name: str, kind: Any, config: dict[str, Any]) -> None:
    with torch.device("meta"):
        transformer = kind(**config)
    assert stored(transformer) == spec_of(name).transformer_weights
    assert transformer.inner_dim == spec_of(name).transformer_width


def test_known_encoders_and_decoders_have_as_many_weights_as_told() -> None:
    large = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
    small = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
    wide = {"vocab_size": 32128, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
    channels = (128, 256, 512, 512)
    with torch.device("meta"):
        t5 = T5EncoderModel(T5Config(**wide, feed_forward_proj="gated-gelu"))
        clips = [
            CLIPTextModelWithProjection(CLIPTextConfig(**one, projection_dim=one["hidden_size"]))
            for one in (small, large)
        ]
        clip = CLIPTextModel(CLIPTextConfig(**small))
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=channels,
            layers_per_block=2,
            latent_channels=16,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
    counts = [sum(value.numel() for value in part.parameters()) for part in (t5, *clips, clip, vae)]
    medium, dev = spec_of("sd3.5-medium"), spec_of("flux.1-dev")
    assert sum(counts[:3]) == medium.text_weights == spec_of("sd3.5-large").text_weights
    assert counts[0] + counts[3] == dev.text_weights == spec_of("flux.1-schnell").text_weights
    assert counts[4] == medium.vae_weights == dev.vae_weights


def test_the_estimate_of_a_folder_is_what_its_weights_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MODELS", dict(MODELS))
    monkeypatch.setattr(registry, "_folders", {})
    pipeline = tiny.sd3_pipeline(t5=True)
    pipeline.save_pretrained(tmp_path)
    registry.add_folder("mine", tmp_path)
    told = need(registry.MODELS["mine"], "bfloat16")
    pipeline.to(torch.bfloat16)
    encoders = (pipeline.text_encoder, pipeline.text_encoder_2, pipeline.text_encoder_3)
    for size, parts in (
        (told.transformer, (pipeline.transformer,)),
        (told.vae, (pipeline.vae,)),
        (told.text, encoders),
    ):
        tensors = [value for part in parts for value in part.state_dict().values()]
        # T5 keeps one table under two names in memory, and one on the disk.
        assert size == sum({value.data_ptr(): value.nbytes for value in tensors}.values())
    assert need(registry.MODELS["mine"], "float32").weights == 2 * told.weights


def test_known_models_need_what_is_known_of_them() -> None:
    medium, dev = need(spec_of("sd3.5-medium"), "bfloat16"), need(spec_of("flux.1-dev"), "bfloat16")
    assert medium.transformer == pytest.approx(4.94e9, rel=1e-3)  # its file on the hub has 4.94 GB
    assert 16.2e9 < medium.weights < 16.4e9 and 33.6e9 < dev.weights < 33.9e9
    # Not less than what one forward took when it was counted: 47 MB a sample of a pair, 146 MB, 404 MB a picture.
    assert medium.sample >= 2 * 47e6 and dev.sample >= 146e6 and medium.picture >= 403e6


def test_what_cannot_fit_is_refused_with_figures() -> None:
    medium = spec_of("sd3.5-medium")
    assert not must_swap(medium, "bfloat16", 24 * 10**9, "cuda")
    assert must_swap(medium, "bfloat16", 16 * 10**9, "cuda")
    with pytest.raises(ModelError) as told:
        must_swap(medium, "bfloat16", 8 * 10**9, "cuda")
    assert str(told.value) == (
        "Stable Diffusion 3.5 Medium does not fit: it needs 11.7 GB in bfloat16, its text encoders and transformer "
        "taking turns (transformer 4.9 GB, text encoders 11.2 GB, VAE 168 MB, working memory 404 MB); "
        "cuda has 7.6 GB to give"
    )
    with pytest.raises(ModelError, match=r"it needs 33\.\d GB in float32 \(transformer 9\.9 GB.*cpu has 15\.2 GB"):
        must_swap(medium, "float32", 16 * 10**9, "cpu")
    with pytest.raises(ModelError, match="mps has"):
        must_swap(medium, "bfloat16", 16 * 10**9, "mps")  # where swapping would move nothing
    assert not must_swap(MODELS["shapes-sd3"], "float32", 10**9, "cpu")


def test_a_model_that_cannot_fit_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "free_memory", lambda device: 2 * 10**9)
    with pytest.raises(ModelError, match="Stable Diffusion 3.5 Medium does not fit"):
        load_folder(spec_of("sd3.5-medium"), tmp_path / "nothing here")


def test_weights_are_float32_on_a_cpu_and_half_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    medium = spec_of("sd3.5-medium")
    assert dtype_on(medium, "cpu") == "float32" and dtype_on(medium, "mps") == "bfloat16"
    for there, expected in ((True, "bfloat16"), (False, "float16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda there=there, **_: there)
        assert dtype_on(medium, "cuda:0") == expected
    assert dtype_on(MODELS["shapes-sd3"], "cuda") == "float32"


def test_batches_begin_with_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitting(32, 100, 1000) == 9 and fitting(4, 100, 10_000) == 4 and fitting(4, 100, 10) == 1
    model = tiny.sd3_model()
    assert fitting_batch(model, 32) == 32  # on a CPU: the same machine gives the same bits
    assert fitting_batch(object(), 7) == 7
    assert 0 < available_memory() < 2**50
    monkeypatch.setattr(memory.Path, "read_text", lambda self: (_ for _ in ()).throw(OSError()))
    assert available_memory() > 0


def test_a_gpu_is_asked_for_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda place: (3_000_000, 80_000_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda place: 2_000_000)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda place: 1_000_000)
    assert free_memory("cuda") == 4_000_000  # what torch keeps for later can be had as well
    model = tiny.sd3_model(t5=True)
    there = SimpleNamespace(pipeline=model.pipeline, tokens=model.tokens, device=torch.device("cuda"))
    assert model.tokens == 2 * (16 + 77 + 16) and tiny.flux_model().tokens == 24 + 16
    assert fitting_batch(there, 32) == int(0.95 * 4_000_000) // (16 * 16 * model.tokens * 4) == 17
    model.pipeline.transformer.to(torch.bfloat16)
    assert fitting_batch(there, 32) == 32


@pytest.mark.parametrize("swap", [False, True])
def test_parts_are_put_on_the_device(swap: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, moved = tiny.sd3_pipeline(), []
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module):
            monkeypatch.setattr(part, "to", lambda place, name=name: moved.append(name))
    put(pipeline, "cuda", swap=swap)
    assert set(moved) == {"transformer", "vae"} | (set() if swap else {"text_encoder", "text_encoder_2"})


@pytest.fixture(params=["sd3", "flux"])
def moves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[str]]:
    """A swapping model and what it moves, part by part; all of it on the CPU here."""
    if request.param == "sd3":
        model: Any = SD3FlowModel(tiny.sd3_pipeline(t5=True), id="tiny", max_sequence_length=16, swap=True)
    else:
        model = FluxFlowModel(tiny.flux_pipeline(), id="tiny", height=16, width=24, max_sequence_length=16, swap=True)
    moved: list[str] = []
    for name, part in model.pipeline.components.items():
        if isinstance(part, torch.nn.Module):
            monkeypatch.setattr(part, "to", lambda place, name=name: moved.append(name))
    return model, moved


def test_encoders_and_transformer_take_turns_once_a_prompt(
    moves: tuple[Any, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, moved = moves
    plain = tiny.sd3_model(t5=True) if isinstance(model, SD3FlowModel) else tiny.flux_model()
    encoders = [name for name in model.pipeline.components if name.startswith("text_encoder")]
    found = model.encode("a photo of a star", 4.5)
    assert moved == ["transformer", *encoders, *encoders, "transformer"]
    assert model.encode("a photo of a star", 4.5) is found and len(moved) == 2 + 2 * len(encoders)
    expected = plain.encode("a photo of a star", 4.5)
    assert found.prompt_embeds.equal(expected.prompt_embeds) and found.pooled_embeds.equal(expected.pooled_embeds)
    monkeypatch.setattr(placement, "REMEMBERED", 2)
    for index in range(2):
        model.encode(f"a photo of {index} stars", 4.5)
    assert model.encode("a photo of a star", 4.5) is not found


def decoded(latents: Tensor, *, room: int | None = None, slices: bool = False) -> tuple[Tensor, Any]:
    """Pictures of the tiny VAE, on a device with room for latents of so many positions."""
    model = tiny.sd3_model()
    vae = model.pipeline.vae
    if slices:
        vae.enable_slicing()
    if room is not None:
        decoder = vae.decoder.forward

        def limited(latents: Tensor, *more: Any) -> Tensor:
            if latents[:, 0].numel() > room:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return decoder(latents, *more)

        vae.decoder.forward = limited
    return model.decode(latents), vae


def test_slices_change_nothing_and_tiles_are_the_last_resort() -> None:
    latents = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    whole, vae = decoded(latents)
    assert not vae.use_tiling
    torch.testing.assert_close(decoded(latents, slices=True)[0], whole, atol=1e-5, rtol=0)
    tiled, vae = decoded(latents[:1], room=16)
    assert vae.use_tiling and (vae.tile_latent_min_size, vae.tile_sample_min_size) == (4, 8)
    assert tiled.shape == whole[:1].shape and not tiled.equal(whole[:1])
    with pytest.raises(torch.OutOfMemoryError):
        decoded(latents, room=64)  # several at once: fewer come first
    with pytest.raises(torch.OutOfMemoryError):
        decoded(latents[:1], room=1)


def test_a_folder_of_known_size_loads_as_before(tmp_path: Path) -> None:
    tiny.sd3_pipeline().save_pretrained(tmp_path)
    sizes = {"height": 16, "width": 16, "transformer_weights": 20_000, "text_weights": 30_000, "transformer_width": 16}
    model = load_folder(replace(MODELS["shapes-sd3"], id="tiny", **sizes), tmp_path)
    assert isinstance(model, SD3FlowModel) and not model.encoders.swap and not model.pipeline.vae.use_slicing
