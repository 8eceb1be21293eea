"""The rewards of the literature against the packages and classes they come from, at reduced size."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from transformers import modeling_utils

from app.own_models import REWARDS, name_models
from core.errors import ConfigError, RewardError
from core.geneval.check import Found
from core.geneval.prompts import COLORS
from core.rewards import aesthetic, imagereward, imagereward_compat, registry
from core.rewards.aesthetic import AestheticReward
from core.rewards.geneval import ClipColors
from core.rewards.imagereward import ImageRewardReward
from core.rewards.owlv2 import QUERY, load_owlv2
from core.rewards.pixels import to_uint8
from core.rewards.protocol import score
from tests import tiny, tiny_rewards

PROMPTS = ["a photo of a red apple", "two dogs", "é zz? " * 30, ""]


def pictures(height: int, width: int, count: int = 4) -> Tensor:
    """Noise of blocks, in whole levels as a saved picture holds them."""
    blocks = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    images = torch.nn.functional.interpolate(blocks, (height, width))
    return torch.from_numpy(to_uint8(images)).permute(0, 3, 1, 2).float() / 255


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "REWARDS", dict(registry.REWARDS))
    monkeypatch.setattr(registry, "_folders", {})


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> object:
    return tiny_rewards.imagereward_package(tmp_path_factory.mktemp("imagereward"))


@pytest.fixture
def small_package() -> Iterator[None]:
    with tiny_rewards.reduced_imagereward():
        yield


class TestImageReward:
    @pytest.mark.parametrize("size", [(32, 32), (64, 48), (32, 35), (20, 33)])
    def test_batches_score_as_the_package_does_one_by_one(self, package: object, size: tuple[int, int]) -> None:
        images = pictures(*size)
        own = [package.score(prompt, to_pil_image(one)) for prompt, one in zip(PROMPTS, images, strict=True)]  # type: ignore[attr-defined]
        assert score(ImageRewardReward(package), images, PROMPTS) == pytest.approx(own, abs=1e-5)
        assert max(own) - min(own) > 0.01

    def test_what_was_lent_is_taken_back(self) -> None:
        imagereward_compat.modules()
        assert not hasattr(modeling_utils, "apply_chunking_to_forward")
        assert "ImageReward" not in sys.modules and "ImageReward.ReFL" not in sys.modules

    def test_masked_places_are_not_looked_at(self, package: object) -> None:
        added = package.blip.text_encoder.invert_attention_mask(torch.tensor([[1, 0]]))  # type: ignore[attr-defined]
        assert added.shape == (1, 1, 1, 2)
        assert added.flatten().tolist() == [0, torch.finfo(torch.float32).min]

    def test_words_follow_blips_order(self) -> None:
        made = imagereward_compat.tokenizer(tiny_rewards.VOCABULARY)
        count = len(tiny_rewards.VOCABULARY)
        assert made.convert_tokens_to_ids(["[PAD]", "[DEC]", "[ENC]"]) == [0, count, count + 1]
        assert made.tokenize("A CAT") == ["a", "c", "##a", "##t"]

    def test_loads_from_a_folder(self, package: object, small_package: None, tmp_path: Path) -> None:
        registry.add_folder("imagereward", tiny_rewards.imagereward_folder(tmp_path))
        assert registry.usable("imagereward") == (True, "")
        loaded = score(registry.load_reward("imagereward"), pictures(32, 32), PROMPTS)
        assert loaded == pytest.approx(score(ImageRewardReward(package), pictures(32, 32), PROMPTS), abs=1e-5)

    def test_files_that_do_not_fit_are_refused(self, package: object, small_package: None, tmp_path: Path) -> None:
        folder = tiny_rewards.imagereward_folder(tmp_path)
        names = (folder / "ImageReward.pt", folder / "med_config.json", folder / "vocab.txt")
        tensors = torch.load(names[0], weights_only=True)
        for change, told in (
            ({"mlp.layers.0.bias": None}, "lacking: mlp.layers.0.bias"),
            ({"blip.other": torch.zeros(1)}, "foreign: blip.other"),
            ({"mlp.layers.0.bias": torch.zeros(3)}, "of another shape: mlp.layers.0.bias"),
        ):
            changed = {key: value for key, value in (tensors | change).items() if value is not None}
            torch.save(changed, names[0])
            with pytest.raises(RewardError, match=f"imagereward: the file does not fit the model .{told}"):
                imagereward.load("imagereward", *names)
        torch.save({key: value for key, value in tensors.items() if "position_ids" not in key}, names[0])
        imagereward.load("imagereward", *names)
        names[2].write_text("a\nb\n")
        with pytest.raises(RewardError, match=r"expected 57 tokens in vocab.txt, got 2"):
            imagereward.load("imagereward", *names)

    def test_what_is_no_tensor_is_not_unpickled(self, tmp_path: Path) -> None:
        folder = tiny_rewards.imagereward_folder(tmp_path)
        torch.save({"weights": Path("/")}, folder / "ImageReward.pt")
        registry.add_folder("imagereward", folder)
        with pytest.raises(RewardError, match="ImageReward.pt cannot be read as tensors"):
            registry.load_reward("imagereward")


class TestAesthetic:
    def test_the_head_is_the_packages(self) -> None:
        imagereward_compat.modules()
        published = sys.modules["ImageReward.models.AestheticScore"].MLP(768).eval()
        mine = aesthetic.head()
        mine.load_state_dict({key.removeprefix("layers."): value for key, value in published.state_dict().items()})
        x = torch.randn(4, 768, generator=torch.Generator().manual_seed(0))
        assert mine(x).equal(published(x))

    @pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
    def test_loads_from_a_folder(self, tmp_path: Path, suffix: str) -> None:
        folder = tiny_rewards.aesthetic_folder(tmp_path)
        head = folder / "head" / "aesthetic-model.safetensors"
        if suffix == ".pth":
            head.unlink()
            torch.save(tiny_rewards.small_head().state_dict(), head.with_suffix(suffix))
        registry.add_folder("aesthetic", folder)
        with patch.object(aesthetic, "WIDTHS", (16, *aesthetic.WIDTHS[1:])):
            loaded = registry.load_reward("aesthetic")
        expected = score(tiny_rewards.aesthetic_reward(), pictures(32, 32), PROMPTS)
        assert score(loaded, pictures(32, 32), PROMPTS) == pytest.approx(expected, abs=1e-5)

    def test_another_clip_or_head_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(RewardError, match="expected a CLIP with embeddings of 768 numbers, got 16"):
            AestheticReward(tiny.clip_reward(), aesthetic.head())
        registry.add_folder("aesthetic", tiny_rewards.aesthetic_folder(tmp_path))
        with pytest.raises(RewardError, match="of another shape: 0.weight"):
            registry.load_reward("aesthetic")
        head = tmp_path / "head" / "aesthetic-model.safetensors"
        save_file({"layers.0.weight": torch.zeros(1024, 768)}, head)
        with pytest.raises(RewardError, match="lacking: 0.bias, 2.bias and 7 more"):
            registry.load_reward("aesthetic")


class TestPickScore:
    def test_is_the_models_own_logit(self, tmp_path: Path) -> None:
        model, tokenizer = tiny.clip_model(1), tiny.clip_tokenizer()
        images = pictures(32, 32, 2)
        words = tokenizer(PROMPTS[:2], padding=True, return_tensors="pt")
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (tiny.MEAN, tiny.STD))
        with torch.no_grad():
            expected = model(**words, pixel_values=(images - mean) / std).logits_per_image.diagonal()
        assert score(tiny_rewards.pickscore_reward(), images, PROMPTS[:2]) == pytest.approx(expected.tolist(), abs=1e-4)

    def test_weights_and_processor_come_from_two_places(self, tmp_path: Path) -> None:
        tiny.clip_model(1).save_pretrained(tmp_path / "weights")
        tiny_rewards.clip_folder(tmp_path / "processor")
        (tmp_path / "processor" / "model.safetensors").unlink()
        registry.add_folder("pickscore", tmp_path)
        images = pictures(32, 32, 2)
        expected = score(tiny_rewards.pickscore_reward(), images, PROMPTS[:2])
        assert score(registry.load_reward("pickscore"), images, PROMPTS[:2]) == pytest.approx(expected, abs=1e-4)


class TestFolders:
    def test_any_clip_goes_under_a_name_of_its_own(self, tmp_path: Path) -> None:
        registry.add_folder("house-clip", tiny_rewards.clip_folder(tmp_path))
        assert registry.usable("house-clip") == (True, "")
        images = pictures(32, 32, 2)
        expected = score(tiny.clip_reward(), images, PROMPTS[:2])
        assert score(registry.load_reward("house-clip"), images, PROMPTS[:2]) == pytest.approx(expected, abs=1e-5)

    def test_what_is_no_such_folder_is_told(self, tmp_path: Path) -> None:
        for name, path, told in (
            ("house-clip", tmp_path / "none", "house-clip: expected a folder"),
            ("house-clip", tmp_path, "house-clip: its folder lacks config.json"),
            ("imagereward", tmp_path, "imagereward: its folder lacks ImageReward.pt"),
            ("shapes-verifier", tmp_path, "shapes-verifier: has no files that a folder could hold"),
            ("a b", tmp_path, "'a b': expected a name of letters"),
        ):
            with pytest.raises(RewardError, match=told):
                registry.add_folder(name, path)
        assert "house-clip" not in registry.REWARDS

    def test_flags_and_environment_name_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tiny_rewards.clip_folder(tmp_path / "first")
        monkeypatch.chdir(tmp_path)
        environ = {REWARDS: f"one={tmp_path / 'first'}"}
        name_models(environ=environ, reward_folders=["two=first"])
        assert registry.usable("one")[0] and registry.usable("two")[0]
        assert environ[REWARDS] == f"one={tmp_path / 'first'};two={tmp_path / 'first'}"
        name_models(environ=environ)  # a process started from here
        for wrong in ("two", "=first", "two="):
            with pytest.raises(ConfigError, match="expected NAME=PATH"):
                name_models(environ={}, reward_folders=[wrong])

    def test_what_is_absent_says_why(self) -> None:
        fine, why = registry.usable("hpsv2")
        assert not fine and "protobuf" in why
        with pytest.raises(RewardError, match="HPSv2 .learned.: its package"):
            registry.load_reward("hpsv2")

    def test_what_is_not_here_says_what_to_fetch(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
        fine, why = registry.usable("pickscore~0.5")
        assert not fine and "yuvalkirstain/PickScore_v1, 3,945 MB" in why
        assert why.endswith("`python -m app download pickscore` fetches them")


class TestOwlv2:
    @pytest.mark.parametrize("size", [(48, 48), (40, 64), (64, 40)])
    def test_finds_what_transformers_finds(self, size: tuple[int, int]) -> None:
        detector = tiny_rewards.owlv2_detector()
        images, names = pictures(*size, count=2), ["cat", "teddy bear"]
        cut = {"padding": "max_length", "max_length": 16, "return_tensors": "pt"}
        words = detector.tokenizer([QUERY.format(name) for name in names] * 2, **cut)
        pixels = detector.processor(images=[to_pil_image(one) for one in images], return_tensors="pt").pixel_values
        predict = detector.model.class_predictor  # the tiny tokenizer begins with word 0, which would mean "no query"
        unmasked = patch.object(
            detector.model, "class_predictor", lambda regions, queries, _: predict(regions, queries)
        )
        with torch.no_grad(), unmasked:
            output = detector.model(words.input_ids, pixels, words.attention_mask)
        expected = detector.processor.post_process_object_detection(output, 0.4, target_sizes=[size] * 2)
        found = detector(images, [names] * 2, 0.4)
        for mine, theirs in zip(found, expected, strict=True):
            boxes = theirs["boxes"].clamp(min=0).minimum(torch.tensor([size[1], size[0]] * 2))
            there = (boxes[:, 2:] > boxes[:, :2]).all(-1)
            assert [names.index(one.name) for one in mine] == theirs["labels"][there].tolist()
            torch.testing.assert_close(torch.tensor([one.score for one in mine]), theirs["scores"][there])
            torch.testing.assert_close(torch.tensor([one.box for one in mine]), boxes[there], atol=1e-3, rtol=0)
        assert sum(map(len, found)) > 5

    def test_loads_from_a_folder(self, tmp_path: Path) -> None:
        registry.add_folder("geneval", tiny_rewards.geneval_folder(tmp_path))
        images, prompts = pictures(48, 48, 2), ["a photo of a red apple and a green cup", "a photo of two dogs"]
        reward = registry.load_reward("geneval")
        reward.threshold = 0.0  # type: ignore[attr-defined]
        assert score(reward, images, prompts) == score(tiny_rewards.geneval_reward(), images, prompts)
        (tmp_path / "detector" / "model.safetensors").write_bytes(b"\x08")
        with pytest.raises(RewardError, match="geneval: the detector cannot be loaded"):
            load_owlv2("geneval", tmp_path / "detector")


class TestColors:
    def test_the_region_decides_and_nothing_around_it(self) -> None:
        colors, picture = ClipColors(tiny.clip_reward()), pictures(64, 64, 1)[0]
        found = Found("cup", 1.0, (8.2, 10.0, 40.0, 42.9))
        named = colors(picture, found)
        assert named in COLORS
        changed = picture.clone()
        changed[:, :10], changed[:, :, :8] = 0, 1
        assert colors(changed, found) == named
        sentences = [f"a photo of a {named} cup", f"a photo of a {named}-colored cup", f"a photo of a {named} object"]
        clip, region = colors.clip, picture[None, :, 10:42, 8:40]
        mean = torch.nn.functional.normalize(clip.embed_prompts(sentences).mean(0), dim=-1)
        torch.testing.assert_close(mean, colors._sentences("cup")[COLORS.index(named)])
        assert int((colors._sentences("cup") @ clip.embed_images(region)[0]).argmax()) == COLORS.index(named)
        assert float(mean @ clip.embed_images(region)[0]) == pytest.approx(
            float((colors._sentences("cup") @ clip.embed_images(region)[0]).max()),
            abs=1e-6,  # cosines in float32: near 0 a relative bound asks for more than they have
        )

    def test_a_sliver_is_no_trouble(self) -> None:
        colors, picture = ClipColors(tiny.clip_reward()), pictures(64, 640, 1)[0]
        assert colors(picture, Found("cup", 1.0, (0.0, 5.0, 640.0, 5.4))) in COLORS
        assert colors(picture, Found("cup", 1.0, (640.0, 5.0, 640.0, 9.0))) is None


@pytest.mark.slow  # 15 s of CPU
def test_imagereward_at_true_size(tmp_path: Path) -> None:
    """Random weights of ViT-Large and BERT-base; six letters' worth of vocabulary, filled up to 30,522 words."""
    words = [*tiny_rewards.VOCABULARY, *(f"[unused{index}]" for index in range(30_522))][:30_522]
    med_config = tmp_path / "med_config.json"
    true = {"hidden_size": 768, "intermediate_size": 3_072, "num_attention_heads": 12, "num_hidden_layers": 12}
    true |= {"max_position_embeddings": 512, "vocab_size": 30_524, "encoder_width": 768}
    med_config.write_text(json.dumps(tiny_rewards.MED_CONFIG | true))
    torch.manual_seed(0)
    package = imagereward_compat.build(str(med_config), lambda: imagereward_compat.tokenizer(words))
    images = pictures(512, 512, 2)
    own = [package.score(prompt, to_pil_image(one)) for prompt, one in zip(PROMPTS, images, strict=False)]
    assert score(ImageRewardReward(package), images, PROMPTS[:2]) == pytest.approx(own, abs=1e-4)
    assert sum(value.numel() for value in package.state_dict().values()) == 446_666_465
