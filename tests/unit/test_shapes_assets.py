"""The weights that came with the checkout: complete, small, loaded by plain libraries, and as good as the card says."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusion3Pipeline
from safetensors import safe_open

from core.models.files import ASSETS
from core.models.registry import load_model
from core.rewards.registry import load_reward
from core.shapes.evaluate import clip_scores, generate, measure_model, top_of_64, within_prompt_auc
from core.shapes.scenes import COLORS, SHAPES, Caption, Phrase, draw, evaluation_captions, sample_pairs
from core.shapes.vae import decode, draw_scenes, encode
from core.shapes.verifier import verify

MEGABYTE = 1_000_000


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusion3Pipeline:
    """As someone without the lab would load it."""
    absent = dict.fromkeys(("text_encoder_3", "tokenizer_3", "image_encoder", "feature_extractor"))
    loaded = StableDiffusion3Pipeline.from_pretrained(ASSETS / "shapes-sd3", **absent)
    loaded.set_progress_bar_config(disable=True)
    return loaded.to(torch.float32)


@pytest.mark.parametrize(("folder", "limit"), [("shapes-sd3", 24), ("shapes-clip", 8), (".", 48)])
def test_assets_stay_small(folder: str, limit: int) -> None:
    assert size_of(ASSETS / folder) < limit * MEGABYTE


@pytest.mark.parametrize("folder", ["shapes-sd3", "shapes-clip"])
def test_weights_are_safetensors_in_half_precision(folder: str) -> None:
    files = list((ASSETS / folder).rglob("*.safetensors"))
    assert files and not list((ASSETS / folder).rglob("*.bin"))
    for path in files:
        with safe_open(path, framework="pt") as file:
            kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 (not a dict)
        assert kinds <= {"F16", "I64"}, path


def test_the_scheduler_shifts_by_three() -> None:
    settings = json.loads((ASSETS / "shapes-sd3" / "scheduler" / "scheduler_config.json").read_text())
    assert settings["_class_name"] == "FlowMatchEulerDiscreteScheduler" and settings["shift"] == 3.0


def test_latents_have_unit_variance_and_pictures_survive_the_vae(pipeline: StableDiffusion3Pipeline) -> None:
    pairs, images = sample_pairs(501, 120), draw_scenes(501, 120)
    latents = encode(pipeline.vae, images)
    assert float(latents.std()) == pytest.approx(1, abs=0.1)
    decoded = decode(pipeline.vae, latents)
    squared = ((decoded.astype(float) - images) ** 2).mean((1, 2, 3))
    assert (10 * np.log10(255**2 / squared)).mean() >= 27
    assert np.mean([verify(image, caption)[0] for image, (caption, _) in zip(decoded, pairs, strict=True)]) >= 0.95


def test_plain_diffusers_draws_single_objects(pipeline: StableDiffusion3Pipeline) -> None:
    captions = [Caption("single_object", (Phrase(shape),)) for shape in SHAPES] * 3
    captions += [Caption("colors", (Phrase(shape, color),)) for shape in SHAPES for color in COLORS[::2]]
    images = generate(pipeline, [caption.text() for caption in captions], seed=5)
    assert np.mean([verify(image, caption)[0] for image, caption in zip(images, captions, strict=True)]) >= 0.8


def test_a_sample_of_the_evaluation_scores_as_the_card_says(pipeline: StableDiffusion3Pipeline) -> None:
    """The whole of it is `python -m core.shapes.evaluate`; of 48 pictures the standard error is .07."""
    found = measure_model(pipeline, evaluation_captions(24))
    tasks = {"overall", "single_object", "two_object", "counting", "colors", "position", "color_attr"}
    assert set(found["strict"]) == set(found["partial"]) == tasks
    assert found["strict"]["overall"] >= 0.5


def test_the_lab_loads_the_same_weights(pipeline: StableDiffusion3Pipeline) -> None:
    model = load_model("shapes-sd3")
    conditioning = model.encode("a photo of a red circle", 1.0)
    latents = torch.randn(2, *model.latent_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        velocity = model.velocity(latents, 0.5, conditioning)
        embeds, _, pooled, _ = pipeline.encode_prompt(
            "a photo of a red circle", None, None, do_classifier_free_guidance=False, max_sequence_length=0
        )
        expected = pipeline.transformer(
            hidden_states=latents,
            timestep=torch.full((2,), 500.0),
            encoder_hidden_states=embeds.expand(2, -1, -1),
            pooled_projections=pooled.expand(2, -1),
            return_dict=False,
        )[0]
    torch.testing.assert_close(velocity, expected, atol=1e-5, rtol=1e-5)


def test_the_clip_knows_a_pictures_caption() -> None:
    reward = load_reward("shapes-clip")
    assert top_of_64(reward, groups=2) >= 0.9
    assert within_prompt_auc(reward, prompts=25) >= 0.8


def test_the_clip_prefers_the_right_colour() -> None:
    reward = load_reward("shapes-clip")
    pairs = [(c, s) for c, s in sample_pairs(77, 400) if c.task == "colors"][:40]
    images = np.stack([draw(scene) for _, scene in pairs])
    right = [clip_scores(reward, image[None], [c.text()])[0] for image, (c, _) in zip(images, pairs, strict=True)]
    swapped = [
        Caption("colors", (Phrase(c.phrases[0].shape, COLORS[(COLORS.index(str(c.phrases[0].color)) + 1) % 6]),))
        for c, _ in pairs
    ]
    wrong = [clip_scores(reward, image[None], [c.text()])[0] for image, c in zip(images, swapped, strict=True)]
    assert np.mean(np.array(right) > np.array(wrong)) >= 0.9
