"""Calling rewards, the conformance check itself, and the registry."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import CLIPImageProcessor

from core.errors import RewardError
from core.models import files
from core.rewards.conformance import violations
from core.rewards.protocol import score
from core.rewards.registry import REWARDS, find, load_reward, usable
from tests import tiny

IMAGES, PROMPTS = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0)), ["a", "b", "c"]


class Given:
    """A reward made of a function."""

    def __init__(self, function: Callable[[Tensor, Sequence[str]], object], name: str = "given") -> None:
        self.name = name
        self.function = function

    def __call__(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return self.function(images, prompts)


def test_scores_are_floats_and_pass_through_what_is_not_finite() -> None:
    values = score(Given(lambda images, _: torch.tensor([math.nan, math.inf, 0.5])), IMAGES, PROMPTS)
    assert math.isnan(values[0]) and values[1:] == (math.inf, 0.5) and all(type(v) is float for v in values)


def test_scoring_records_no_gradients() -> None:
    weight = torch.ones((), requires_grad=True)
    seen: list[Tensor] = []

    def scale(images: Tensor, _: Sequence[str]) -> Tensor:
        seen.append(images.mean((1, 2, 3)) * weight)
        return seen[-1]

    score(Given(scale), IMAGES, PROMPTS)
    assert not seen[0].requires_grad


@pytest.mark.parametrize("result", [torch.zeros(2), torch.zeros(3, 1), torch.tensor(1.0), 1.0, [1.0, 2.0]])
def test_wrong_lengths_are_refused(result: object) -> None:
    with pytest.raises(RewardError, match=r"given: expected one number an image, so shape \(3,\), got shape"):
        score(Given(lambda *_: result), IMAGES, PROMPTS)


@pytest.mark.parametrize("result", [None, "high", ["a", "b", "c"]])
def test_results_that_are_no_numbers_are_refused(result: object) -> None:
    with pytest.raises(RewardError, match="the reward given failed"):
        score(Given(lambda *_: result), IMAGES, PROMPTS)


def test_exceptions_are_wrapped_with_the_rewards_name() -> None:
    def fail(images: Tensor, prompts: Sequence[str]) -> Tensor:
        raise KeyError("weights")

    with pytest.raises(RewardError, match="the reward given failed with KeyError: 'weights'") as caught:
        score(Given(fail), IMAGES, PROMPTS)
    assert isinstance(caught.value.__cause__, KeyError)


def test_wrong_inputs_are_refused() -> None:
    reward = Given(lambda images, _: images.mean((1, 2, 3)))
    with pytest.raises(RewardError, match="expected one prompt an image, got 2 for 3 images"):
        score(reward, IMAGES, PROMPTS[:2])
    with pytest.raises(RewardError, match=r"expected images of shape \(B, 3, H, W\)"):
        score(reward, IMAGES[0], PROMPTS)


def _counter() -> Callable[[Tensor, Sequence[str]], Tensor]:
    calls = iter(range(1000))
    return lambda images, _: images.mean((1, 2, 3)) + next(calls)


def _spoil(images: Tensor, _: Sequence[str]) -> Tensor:
    scores = images[:, 0, 0, 0].clone()
    images.fill_(0.5)
    return scores


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (_counter(), "not repeatable"),
        (lambda images, _: images.mean((1, 2, 3)) - images.mean(), "depends on its batch"),
        (lambda images, _: images.mean((1, 2, 3)) + torch.arange(len(images)), "depends on its place"),
        (_spoil, "changed the images"),
        (lambda images, _: images.mean(), "expected one number an image"),
        (lambda images, _: images.mean((1, 2, 3))[:2], "expected one number an image"),
        (lambda images, _: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_conformance_finds_what_is_wrong(function: Callable[[Tensor, Sequence[str]], object], complaint: str) -> None:
    assert any(complaint in text for text in violations(Given(function), IMAGES.clone(), PROMPTS))


def test_conformance_lets_sound_rewards_pass() -> None:
    assert violations(Given(lambda images, _: images.mean((1, 2, 3))), IMAGES, PROMPTS) == []
    assert violations(Given(lambda images, _: torch.full((len(images),), math.nan)), IMAGES, PROMPTS) == []
    nameless = Given(lambda images, _: images.mean((1, 2, 3)), name="")
    assert violations(nameless, IMAGES, PROMPTS) == ["its name is empty"]
    with pytest.raises(RewardError, match="at least two images"):
        violations(nameless, IMAGES[:1], PROMPTS[:1])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(RewardError, match="expected one of the rewards shapes-clip, .*, got 'taste'"):
        load_reward("taste")
    assert usable("taste")[0] is False


def test_rewards_without_weights_are_always_usable() -> None:
    for name in ("shapes-verifier", "shapes-verifier-strict", "jpeg-compressibility"):
        assert usable(name) == (True, "")
        assert load_reward(name).name == name


def test_missing_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ASSETS", tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    fine, why = usable("shapes-clip")
    assert not fine and "assets/shapes-clip" in why and "config.json" in why
    fine, why = usable("clip-vit-large")
    assert not fine and "openai/clip-vit-large-patch14, 1,714 MB" in why and "app download clip-vit-large" in why
    with pytest.raises(RewardError, match="not on this machine"):
        load_reward("clip-vit-large")


def test_embedded_clip_loads_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ASSETS", tmp_path)
    folder = tmp_path / "shapes-clip"
    tiny.clip_model().half().save_pretrained(folder)
    assert "lacks preprocessor_config.json" in usable("shapes-clip")[1]
    CLIPImageProcessor(image_mean=tiny.MEAN, image_std=tiny.STD).save_pretrained(folder)
    assert "lacks tokenizer.json" in usable("shapes-clip")[1]
    tiny.clip_tokenizer().save_pretrained(folder)
    assert usable("shapes-clip") == (True, "")
    reward = load_reward("shapes-clip")
    assert reward.name == "shapes-clip" and len(score(reward, torch.rand(2, 3, 64, 64), ["a", "b"])) == 2
    (folder / "model.safetensors").write_bytes(b"\x08")
    with pytest.raises(RewardError, match="shapes-clip: cannot be loaded from"):
        load_reward("shapes-clip")


def test_specs_speak_for_themselves() -> None:
    for name, spec in REWARDS.items():
        low, high = spec.range
        assert spec.name == name and spec.title and spec.help.endswith(".")
        assert low is None or high is None or low < high
        assert find(name) is spec
        for part in spec.parts:
            assert part.embedded or (part.source.count("/") == 1 and part.megabytes and part.licence)
        assert (spec.download > 0) == bool(spec.sources) == (spec.memory > 0) == bool(spec.licence)
