"""SD3 and FLUX as flow models: the very latents of diffusers' own pipelines, and errors in words."""

import math
from typing import Any

import pytest
import torch
from peft import LoraConfig
from torch import Tensor

from core.errors import ModelError
from core.models.flux import FluxFlowModel, pack, unpack
from core.models.protocol import FlowModel
from core.models.sd3 import SD3FlowModel
from tests import tiny

PROMPT = "a photo of a red circle"


def noise(model: FlowModel, count: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(count, *model.latent_shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def ode(model: FlowModel, latents: Tensor, num_steps: int, guidance_scale: float, prompt: str = PROMPT) -> Tensor:
    conditioning, sigmas = model.encode(prompt, guidance_scale), model.sigmas(num_steps)
    for sigma, sigma_next in zip(sigmas, sigmas[1:], strict=False):
        latents = latents + model.velocity(latents, sigma, conditioning) * (sigma_next - sigma)
    return latents


def pipeline_sd3(model: SD3FlowModel, latents: Tensor, num_steps: int, guidance_scale: float, output: str) -> Tensor:
    return model.pipeline(
        PROMPT,
        latents=latents.clone(),
        num_images_per_prompt=len(latents),
        num_inference_steps=num_steps,
        guidance_scale=guidance_scale,
        max_sequence_length=model.max_sequence_length,
        height=2 * latents.shape[2],
        width=2 * latents.shape[3],
        output_type=output,
    ).images


def pipeline_flux(model: FluxFlowModel, latents: Tensor, num_steps: int, guidance_scale: float, output: str) -> Tensor:
    images = model.pipeline(
        PROMPT,
        latents=pack(latents),
        num_images_per_prompt=len(latents),
        num_inference_steps=num_steps,
        guidance_scale=guidance_scale,
        max_sequence_length=model.max_sequence_length,
        height=2 * latents.shape[2],
        width=2 * latents.shape[3],
        output_type=output,
    ).images
    return unpack(images, *latents.shape[2:]) if output == "latent" else images


@pytest.mark.parametrize("guidance_scale", [4.5, 1.0, 0.0])
@pytest.mark.parametrize(
    ("t5", "scheduler"),
    [(False, {}), (True, {}), (False, {"use_dynamic_shifting": True}), (False, {"shift": 1.0, "shift_terminal": 0.1})],
)
def test_sd3_ode_equals_the_pipeline(guidance_scale: float, t5: bool, scheduler: dict[str, Any]) -> None:
    model = tiny.sd3_model(t5=t5, **scheduler)
    start = noise(model)
    expected = pipeline_sd3(model, start, 6, guidance_scale, "latent")
    assert (expected - start).abs().max() > 0.5  # the flow does something
    torch.testing.assert_close(ode(model, start, 6, guidance_scale), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("guidance_scale", [3.5, 1.0])
@pytest.mark.parametrize(
    ("guidance_embeds", "scheduler"),
    [
        (True, {}),
        (False, {}),
        (True, {"time_shift_type": "linear"}),
        (True, {"use_dynamic_shifting": False}),
    ],
)
def test_flux_ode_equals_the_pipeline(guidance_scale: float, guidance_embeds: bool, scheduler: dict[str, Any]) -> None:
    model = tiny.flux_model(guidance_embeds=guidance_embeds, **scheduler)
    start = noise(model)
    expected = pipeline_flux(model, start, 6, guidance_scale, "latent")
    assert (expected - start).abs().max() > 0.5
    torch.testing.assert_close(ode(model, start, 6, guidance_scale), expected, atol=1e-5, rtol=0)


def test_sd3_of_another_size_equals_the_pipeline() -> None:
    model = SD3FlowModel(tiny.sd3_pipeline(), id="wide", max_sequence_length=0, height=12, width=20)
    assert model.latent_shape == (4, 6, 10)
    start = noise(model)
    expected = pipeline_sd3(model, start, 4, 4.5, "latent")
    torch.testing.assert_close(ode(model, start, 4, 4.5), expected, atol=1e-5, rtol=0)


def test_flux_guidance_is_embedded() -> None:
    distilled, plain = tiny.flux_model(), tiny.flux_model(guidance_embeds=False)
    start = noise(distilled)
    assert not torch.allclose(ode(distilled, start, 2, 1.0), ode(distilled, start, 2, 8.0), atol=1e-3)
    assert ode(plain, start, 2, 1.0).equal(ode(plain, start, 2, 8.0))


def test_pictures_equal_the_pipelines() -> None:
    pairs: list[tuple[Any, Any]] = [(tiny.sd3_model(), pipeline_sd3), (tiny.flux_model(), pipeline_flux)]
    for model, pipeline in pairs:
        start = noise(model)
        pictures = model.decode(ode(model, start, 3, 2.0))
        torch.testing.assert_close(pictures, pipeline(model, start, 3, 2.0, "pt"), atol=1e-5, rtol=0)
        assert pictures.shape == (2, 3, 2 * model.latent_shape[1], 2 * model.latent_shape[2])
        assert pictures.dtype == torch.float32 and pictures.min() >= 0 and pictures.max() <= 1


@pytest.fixture(params=["sd3", "flux"])
def model(request: pytest.FixtureRequest) -> SD3FlowModel | FluxFlowModel:
    return tiny.sd3_model() if request.param == "sd3" else tiny.flux_model()


def test_schedule(model: SD3FlowModel | FluxFlowModel) -> None:
    sigmas = model.sigmas(10)
    assert len(sigmas) == 11 and sigmas[0] == 1 and sigmas[-1] == 0 and list(sigmas) == sorted(sigmas, reverse=True)
    assert model.sigmas(3) != sigmas and model.sigmas(10) == sigmas
    with pytest.raises(ModelError, match="expected at least 1 step, got 0"):
        model.sigmas(0)


def test_design_schedule_of_shift_three() -> None:
    expected = (1, 0.960, 0.913, 0.858, 0.790, 0.707, 0.602, 0.465, 0.278, 0.009, 0)
    assert tiny.sd3_model().sigmas(10) == pytest.approx(expected, abs=5e-4)


def test_a_schedule_that_does_not_fall_to_zero_is_refused() -> None:
    with pytest.raises(ModelError, match="falling from 1 to 0"):
        tiny.sd3_model(invert_sigmas=True).sigmas(4)


def test_the_schedule_leaves_the_pipelines_scheduler_alone(model: SD3FlowModel | FluxFlowModel) -> None:
    before = model.pipeline.scheduler.timesteps
    model.sigmas(7)
    assert model.pipeline.scheduler.timesteps is before


def test_nfe_counts_the_guidance_pair() -> None:
    sd3, flux = tiny.sd3_model(), tiny.flux_model()
    calls: list[int] = []
    sd3.pipeline.transformer.register_forward_pre_hook(
        lambda _, args, kwargs: calls.append(len(kwargs["hidden_states"])), with_kwargs=True
    )
    for scale, expected in ((4.5, 2), (1.0001, 2), (1.0, 1), (0.0, 1)):
        conditioning = sd3.encode(PROMPT, scale)
        assert sd3.nfe(conditioning) == expected and conditioning.guidance_scale == scale
        sd3.velocity(noise(sd3, 3), 0.5, conditioning)
    assert calls == [6, 6, 3, 3]
    assert flux.nfe(flux.encode(PROMPT, 4.5)) == 1


def test_samples_do_not_see_each_other(model: SD3FlowModel | FluxFlowModel) -> None:
    conditioning, latents = model.encode(PROMPT, 4.5), noise(model, 3)
    whole = model.velocity(latents, 0.7, conditioning)
    alone = torch.cat([model.velocity(latents[i : i + 1], 0.7, conditioning) for i in range(3)])
    torch.testing.assert_close(whole, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_give_float32(model: SD3FlowModel | FluxFlowModel, dtype: torch.dtype) -> None:
    latents = noise(model)
    exact = model.velocity(latents, 0.7, model.encode(PROMPT, 3.5))
    pictures = model.decode(latents)
    model.pipeline.to(dtype)
    conditioning = model.encode(PROMPT, 3.5)
    rounded = model.velocity(latents, 0.7, conditioning)
    assert conditioning.prompt_embeds.dtype == conditioning.pooled_embeds.dtype == dtype
    assert rounded.dtype == torch.float32 and latents.dtype == torch.float32
    assert (rounded - exact).pow(2).mean().sqrt() < 0.1 * exact.std()
    assert model.decode(latents).dtype == torch.float32
    torch.testing.assert_close(model.decode(latents), pictures, atol=0.05, rtol=0)


def test_prompts_beyond_the_encoders_limits_are_cut_not_refused(model: SD3FlowModel | FluxFlowModel) -> None:
    conditioning = model.encode("a very long sentence " * 90, 4.5)
    assert conditioning.prompt_embeds.shape == model.encode("", 4.5).prompt_embeds.shape
    assert model.velocity(noise(model), 0.5, conditioning).isfinite().all()


def test_gradients_reach_the_network_where_they_are_wanted(model: SD3FlowModel | FluxFlowModel) -> None:
    weight = model.pipeline.transformer.proj_out.weight.requires_grad_(True)
    model.velocity(noise(model), 0.5, model.encode(PROMPT, 4.5)).square().mean().backward()
    assert weight.grad is not None and weight.grad.abs().sum() > 0


def test_float32_adapters_in_half_precision_weights_change_nothing_but_the_velocity() -> None:
    model = tiny.sd3_model()
    model.pipeline.to(torch.bfloat16)
    latents = noise(model)
    before = model.velocity(latents, 0.7, model.encode(PROMPT, 4.5))
    config = LoraConfig(r=2, target_modules=["to_q", "to_out.0"], init_lora_weights="gaussian")
    model.pipeline.transformer.add_adapter(config)
    adapters = [p for name, p in model.pipeline.transformer.named_parameters() if "lora" in name]
    for parameter in adapters:
        parameter.data = torch.randn(parameter.shape) * 0.5
    after = model.velocity(latents, 0.7, model.encode(PROMPT, 4.5))
    assert adapters and after.dtype == torch.float32 and not after.allclose(before, atol=0.01)
    model.pipeline.transformer.disable_adapters()
    assert model.velocity(latents, 0.7, model.encode(PROMPT, 4.5)).equal(before)


def test_broken_velocities_raise(model: SD3FlowModel | FluxFlowModel) -> None:
    conditioning, latents = model.encode(PROMPT, 4.5), noise(model, 3)
    bias = model.pipeline.transformer.proj_out.bias
    kept = bias[0].item()
    bias[0] = math.inf
    expected = r"not finite in its velocity at sigma 0\.5 \(samples 0, 1, 2 of 3\); .* were finite"
    with pytest.raises(ModelError, match=expected):
        model.velocity(latents, 0.5, conditioning)
    bias[0] = kept
    latents[1, 0, 0, 0] = math.nan
    with pytest.raises(ModelError, match=r"\(samples 1 of 3\); the latents passed in were not finite already"):
        model.velocity(latents, 0.5, conditioning)


def test_broken_pictures_raise(model: SD3FlowModel | FluxFlowModel) -> None:
    model.pipeline.vae.decoder.conv_out.bias[0] = math.nan
    with pytest.raises(ModelError, match="decoded pictures"):
        model.decode(noise(model))


def test_wrong_inputs_raise(model: SD3FlowModel | FluxFlowModel) -> None:
    conditioning, latents = model.encode(PROMPT, 4.5), noise(model)
    for wrong in (latents[0], latents[:0], latents[..., :-2]):
        with pytest.raises(ModelError, match="expected latents of shape"):
            model.velocity(wrong, 0.5, conditioning)
        with pytest.raises(ModelError, match="expected latents of shape"):
            model.decode(wrong)
    for sigma in (-0.1, 1.5, math.nan):
        with pytest.raises(ModelError, match="expected a sigma from 0 to 1"):
            model.velocity(latents, sigma, conditioning)
    for scale in (-1.0, math.nan, math.inf):
        with pytest.raises(ModelError, match="expected a guidance scale"):
            model.encode(PROMPT, scale)


def test_sizes_that_do_not_divide_raise() -> None:
    with pytest.raises(ModelError, match="divisible by 4, got 18 x 16"):
        SD3FlowModel(tiny.sd3_pipeline(), id="odd", height=18, width=16)
    with pytest.raises(ModelError, match="divisible by 4, got 16 x 18"):
        FluxFlowModel(tiny.flux_pipeline(), id="odd", height=16, width=18)


def test_packing_is_its_own_inverse() -> None:
    latents = torch.arange(2 * 4 * 6 * 10.0).view(2, 4, 6, 10)
    tokens = pack(latents)
    assert tokens.shape == (2, 15, 16)
    assert tokens[0, 0, :4].tolist() == [0, 1, 10, 11]  # the first patch of the first channel
    assert unpack(tokens, 6, 10).equal(latents)
