"""Each reward on pictures whose score is known, and the rules that all of them keep."""

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from core.errors import RewardError
from core.rewards.clip import CACHED_PROMPTS, CLIPReward, preprocess
from core.rewards.conformance import violations
from core.rewards.jpeg import JpegCompressibilityReward
from core.rewards.loading import load_clip
from core.rewards.pixels import to_uint8
from core.rewards.protocol import Reward, score
from core.rewards.registry import REWARDS, load_reward
from core.rewards.verifier import VerifierReward
from core.shapes.scenes import draw, parse_caption, sample_pairs
from core.shapes.verifier import verify
from tests import tiny, tiny_rewards

PAIRS = sample_pairs(3, 6)
CAPTIONS = [caption.text() for caption, _ in PAIRS]


def as_tensor(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 255


@pytest.fixture
def drawn() -> Tensor:
    return as_tensor(np.stack([draw(scene) for _, scene in PAIRS]))


BUILDERS: dict[str, Callable[[Path], Reward]] = {  # at a tiny size the classes of the real ones
    "shapes-clip": lambda _: tiny.clip_reward("shapes-clip"),
    "shapes-verifier": lambda _: load_reward("shapes-verifier"),
    "shapes-verifier-strict": lambda _: load_reward("shapes-verifier-strict"),
    "jpeg-compressibility": lambda _: load_reward("jpeg-compressibility"),
    "imagereward": tiny_rewards.imagereward_reward,
    "pickscore": lambda _: tiny_rewards.pickscore_reward(),
    "clip-vit-large": lambda _: tiny.clip_reward("clip-vit-large"),
    "aesthetic": lambda _: tiny_rewards.aesthetic_reward(),
    "geneval": lambda _: tiny_rewards.geneval_reward(),
    "geneval-strict": lambda _: tiny_rewards.geneval_reward(strict=True),
}
NOISE = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
PROMPTS = [*CAPTIONS, *CAPTIONS[:2], "a poem about the sea"]
GENEVAL = ["a photo of a red apple", "a photo of two dogs", "a photo of a cat left of a bed"]


def prompts_for(name: str, count: int) -> list[str]:
    """Prompts that a reward judges."""
    kind = REWARDS[name].prompts
    return [*GENEVAL, *GENEVAL, "a poem about the sea"][:count] if kind == "geneval" else PROMPTS[:count]


def test_every_reward_is_held_to_the_rules() -> None:
    assert set(BUILDERS) == {name for name, spec in REWARDS.items() if spec.kind != "absent"}


@pytest.mark.parametrize("name", BUILDERS)
def test_rules(name: str, drawn: Tensor, tmp_path: Path) -> None:
    reward = BUILDERS[name](tmp_path)
    assert reward.name == name
    images = torch.cat([drawn, NOISE])[-5:]
    prompts = prompts_for(name, len(PROMPTS))[-5:]
    assert violations(reward, images, prompts, bounds=REWARDS[name].range, finite=True) == []


@pytest.mark.parametrize("name", BUILDERS)
def test_a_picture_that_is_not_finite_gets_no_verdict(name: str, drawn: Tensor, tmp_path: Path) -> None:
    reward, prompts = BUILDERS[name](tmp_path), prompts_for(name, 3)
    sound = score(reward, drawn[:3], prompts)
    for value in (math.nan, math.inf):
        drawn[1, 1, 5, 5] = value
        scores = score(reward, drawn[:3], prompts)
        assert math.isnan(scores[1])
        assert [scores[0], scores[2]] == pytest.approx([sound[0], sound[2]], abs=1e-6)


class TestVerifier:
    def test_is_the_worlds_verifier(self, drawn: Tensor) -> None:
        wrong = CAPTIONS[1:] + CAPTIONS[:1]
        for prompts in (CAPTIONS, wrong):
            captions = [caption for caption in map(parse_caption, prompts) if caption]
            found = [verify(draw(scene), caption) for (_, scene), caption in zip(PAIRS, captions, strict=True)]
            partial = score(VerifierReward("v"), drawn, prompts)
            strict = score(VerifierReward("v", strict=True), drawn, prompts)
            assert partial == pytest.approx([value for _, value in found], abs=1e-6)
            assert strict == tuple(float(value) for value, _ in found)
        assert sum(score(VerifierReward("v", strict=True), drawn, CAPTIONS)) == len(CAPTIONS)

    def test_has_no_verdict_on_other_prompts(self, drawn: Tensor) -> None:
        prompts = ["a dog", *CAPTIONS[1:]]
        for strict in (False, True):
            scores = score(VerifierReward("v", strict=strict), drawn, prompts)
            assert math.isnan(scores[0]) and all(map(math.isfinite, scores[1:]))

    def test_rounds_to_bytes(self, drawn: Tensor) -> None:
        assert (to_uint8(drawn) == np.stack([draw(scene) for _, scene in PAIRS])).all()
        levels = torch.tensor([-0.2, 0.0019, 0.00197, 0.5, 1.3]).view(1, 1, 1, 5).expand(1, 3, 1, 5)
        assert to_uint8(levels)[0, 0, :, 0].tolist() == [0, 0, 1, 128, 255]


class TestJpeg:
    def test_is_minus_the_files_size(self, drawn: Tensor) -> None:
        buffer = io.BytesIO()
        Image.fromarray(draw(PAIRS[0][1])).save(buffer, format="JPEG", quality=95)
        scores = score(JpegCompressibilityReward(), drawn, CAPTIONS)
        assert scores[0] == pytest.approx(-len(buffer.getvalue()) / 1000)

    def test_plain_pictures_win(self) -> None:
        images = torch.stack([torch.full((3, 64, 64), 0.5), torch.rand(3, 64, 64)])
        plain, busy = score(JpegCompressibilityReward(), images, ["", ""])
        assert busy < plain - 3 < 0


class TestClip:
    def test_is_the_models_cosine(self, drawn: Tensor) -> None:
        model, tokenizer = tiny.clip_model(), tiny.clip_tokenizer()
        padded = tokenizer(CAPTIONS, padding="max_length", max_length=tiny.MAX_LENGTH, return_tensors="pt")
        pixels = preprocess(drawn, 32, tiny.MEAN, tiny.STD)
        with torch.no_grad():
            output = model(input_ids=padded.input_ids, attention_mask=padded.attention_mask, pixel_values=pixels)
        expected = output.logits_per_image.diagonal() / model.logit_scale.exp()
        torch.testing.assert_close(tiny.clip_reward()(drawn, CAPTIONS), expected, atol=1e-5, rtol=0)
        assert expected.std() > 1e-3

    def test_preprocessing_is_clips_own(self) -> None:
        processor = CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_mean=tiny.MEAN, image_std=tiny.STD
        )
        for height, width in ((64, 64), (32, 32), (48, 80), (90, 47), (20, 24), (64, 71)):
            blocks = Image.fromarray(np.random.default_rng(0).integers(256, size=(6, 6, 3), dtype=np.uint8))
            picture = blocks.resize((width, height))
            expected = processor(images=[picture], return_tensors="pt").pixel_values
            ours = preprocess(as_tensor(np.array(picture)[None]), 32, tiny.MEAN, tiny.STD)
            assert ours.shape == expected.shape == (1, 3, 32, 32)
            torch.testing.assert_close(ours, torch.as_tensor(expected), atol=1e-6, rtol=0)

    def test_a_picture_of_the_models_size_is_only_normalised(self) -> None:
        image = torch.rand(1, 3, 32, 32)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (tiny.MEAN, tiny.STD))
        assert preprocess(image, 32, tiny.MEAN, tiny.STD).equal((image - mean) / std)

    def test_prompts_are_embedded_once_and_forgotten_in_the_end(self, drawn: Tensor) -> None:
        reward, asked = tiny.clip_reward(), []
        reward.model.text_model.register_forward_hook(lambda *_: asked.append(1))
        reward(drawn, CAPTIONS[:1] * len(drawn))
        reward(drawn[:2], [CAPTIONS[0], CAPTIONS[1]])
        assert len(asked) == 2
        reward(torch.zeros(300, 3, 32, 32), [f"a photo of {number}" for number in range(300)])
        assert reward._text.cache_info().currsize == CACHED_PROMPTS
        asked.clear()
        reward(drawn[:1], CAPTIONS[:1])
        assert len(asked) == 1

    def test_long_and_odd_prompts_are_cut_not_refused(self, drawn: Tensor) -> None:
        odd = ["a red circle " * 150, "", "\u202e<script>\n", "<|endoftext|> x", "圆形 🟥", "a\tb"]
        assert all(map(math.isfinite, score(tiny.clip_reward(), drawn, odd)))

    def test_half_precision_weights_give_float32(self, drawn: Tensor) -> None:
        reward = CLIPReward(tiny.clip_model().half(), tiny.clip_tokenizer(), 32, tiny.MEAN, tiny.STD, "half")
        scores = reward(drawn, CAPTIONS)
        assert scores.dtype == torch.float32
        torch.testing.assert_close(scores, tiny.clip_reward()(drawn, CAPTIONS), atol=0.01, rtol=0)

    def test_parts_that_do_not_fit_are_refused(self) -> None:
        model = tiny.clip_model()
        with pytest.raises(RewardError, match="three positive deviations"):
            CLIPReward(model, tiny.clip_tokenizer(), 32, tiny.MEAN, (1.0, 0.0, 1.0), "odd")
        model.config.text_config.eos_token_id = 77
        with pytest.raises(RewardError, match="expected one end mark"):
            CLIPReward(model, tiny.clip_tokenizer(), 32, tiny.MEAN, tiny.STD, "odd")

    def test_loads_from_a_half_precision_folder(self, drawn: Tensor, tmp_path: Path) -> None:
        tiny.clip_model().half().save_pretrained(tmp_path)
        tiny.clip_tokenizer().save_pretrained(tmp_path)
        CLIPImageProcessor(image_mean=tiny.MEAN, image_std=tiny.STD).save_pretrained(tmp_path)
        reward = load_clip("loaded", tmp_path)
        assert isinstance(reward, CLIPReward)
        assert {p.dtype for p in reward.model.parameters()} == {torch.float32} and reward.max_length == tiny.MAX_LENGTH
        prompts: Sequence[str] = CAPTIONS
        torch.testing.assert_close(reward(drawn, prompts), tiny.clip_reward()(drawn, prompts), atol=0.01, rtol=0)
