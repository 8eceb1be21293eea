"""Preview decoders: guesses that are looked at are drawn by them, what counts is not, and nothing else changes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderTiny

from app.downloads import find_offer, is_here
from app.own_models import PREVIEWS, name_models
from core.config import ExploreConfig, SearchConfig
from core.errors import ModelError
from core.events import ArmFinished, ExploreEvent, IterationScored, SessionFinished, StepCommitted
from core.explore import explore
from core.models import previews
from core.models.loading import load_folder
from core.models.registry import MODELS
from tests import tiny

CONFIG = ExploreConfig(
    "a photo of a red circle",
    num_steps=4,
    search=SearchConfig(num_candidates=3, num_iterations=1, elite_fraction=0.5),
    rewards={"tiny": 1.0},
    arms=("no_search",),
)


def decoder() -> AutoencoderTiny:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = AutoencoderTiny(
            encoder_block_out_channels=(8, 8),
            decoder_block_out_channels=(8, 8),
            num_encoder_blocks=(1, 1),
            num_decoder_blocks=(1, 1),
            latent_channels=4,
        )
    return made.eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def none_wanted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(previews, "_wanted", False)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))


def session(previewer: AutoencoderTiny | None) -> list[ExploreEvent]:
    model = tiny.sd3_model()
    model.previewer = previewer
    return list(explore(CONFIG, model, {"tiny": tiny.clip_reward()}))


def test_only_what_is_looked_at_is_drawn_by_it() -> None:
    plain, previewed = session(None), session(decoder())
    looked_at = 0
    for one, other in zip(plain, previewed, strict=True):
        match one, other:
            case IterationScored(), IterationScored():
                assert one.total == other.total and (one.images == other.images).all() and one.elites == other.elites
            case StepCommitted(), StepCommitted():
                assert one.latents.equal(other.latents)
                final = one.step == CONFIG.num_steps - 1
                assert (one.image == other.image).all() == final
                looked_at += not final
            case ArmFinished(), ArmFinished():
                assert one.rewards == other.rewards and one.latents.equal(other.latents)
                assert one.trail[-1] == other.trail[-1] and one.trail[0] != other.trail[0]
            case SessionFinished(), SessionFinished():
                assert replace(one.cost, seconds=0) == replace(other.cost, seconds=0)
    assert looked_at == 3


def test_its_pictures_are_its_own_decoders() -> None:
    model, small = tiny.sd3_model(), decoder()
    latents = torch.randn(2, *model.latent_shape, generator=torch.Generator().manual_seed(0))
    before = latents.clone()
    assert model.preview(latents).equal(model.decode(latents))
    model.previewer = small
    expected = (small.decode(latents, return_dict=False)[0] / 2 + 0.5).clamp(0, 1)
    assert model.preview(latents).equal(expected) and latents.equal(before)
    with pytest.raises(ModelError, match="expected latents of shape"):
        model.preview(latents[:, :2])


def test_it_is_loaded_where_it_is_wanted_and_there(tmp_path: Path) -> None:
    tiny.sd3_pipeline().save_pretrained(tmp_path / "model")
    foreign = replace(MODELS["shapes-sd3"], id="foreign", embedded=False, height=16, width=16)
    assert load_folder(foreign, tmp_path / "model").previewer is None  # type: ignore[attr-defined]
    environ: dict[str, str] = {}
    name_models(environ=environ, previews=True)
    assert environ == {PREVIEWS: "1"}
    with pytest.raises(ModelError, match=r"previews were asked for, but .*`python -m app download taesd3`"):
        load_folder(foreign, tmp_path / "model")
    embedded = replace(foreign, embedded=True)
    assert load_folder(embedded, tmp_path / "model").previewer is None  # type: ignore[attr-defined]
    base = tmp_path / "home" / "hub" / "models--madebyollin--taesd3"
    (base / "refs").mkdir(parents=True)
    (base / "refs" / "main").write_text("abc")
    decoder().save_pretrained(base / "snapshots" / "abc")
    assert is_here("taesd3") == (True, "") and not is_here("taef1")[0]
    previewer = load_folder(foreign, tmp_path / "model").previewer  # type: ignore[attr-defined]
    assert isinstance(previewer, AutoencoderTiny) and not any(one.requires_grad for one in previewer.parameters())
    (base / "snapshots" / "abc" / "diffusion_pytorch_model.safetensors").write_bytes(b"\x08")
    with pytest.raises(ModelError, match="cannot be loaded from"):
        load_folder(foreign, tmp_path / "model")


def test_it_is_fetched_like_the_others() -> None:
    offer = find_offer("taesd3")
    assert offer and offer.sources[0].repository == "madebyollin/taesd3" and not offer.gated
    assert not is_here("taesd3")[0] and "download taesd3" in is_here("taesd3")[1]
