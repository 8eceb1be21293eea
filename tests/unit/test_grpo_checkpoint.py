"""A stored fine-tune: goes on bit for bit, opens in diffusers, and tells when it is not what was stored."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.config import SearchConfig
from core.errors import TrainError
from core.grpo import checkpoint
from core.grpo.policy import Policy
from core.grpo.trainer import train
from core.rewards.registry import Given
from core.train_config import TrainConfig
from core.train_events import CheckpointMade, EpochFinished
from tests import tiny

CONFIG = TrainConfig(
    prompts=tuple(f"a photo of {count} circles" for count in ("two", "three", "four")),
    rewards={"green": 1.0},
    epochs=4,
    prompts_per_epoch=2,
    group_size=3,
    num_steps=4,
    sde_window=2,
    eval_steps=2,
    eval_prompts=2,
    window_min=0.0,
    window_max=1.0,
    lora_rank=2,
    lora_alpha=8.0,
    micro_batch=4,
    learning_rate=1e-2,
    eval_every=2,
    sample_every=0,
    checkpoint_every=1,
    noise_source="search",
    searched_fraction=0.5,
    search=SearchConfig("tried", 3, 1, 0.67),
)
REWARDS = {"green": Given("green", lambda images, prompts: images[:, 1].mean((1, 2)))}


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny.sd3_model()


@pytest.fixture(scope="module")
def whole(model: Any) -> list[Any]:
    """An undisturbed run."""
    return list(train(CONFIG, model, REWARDS))


def states(events: list[Any]) -> list[Any]:
    return [event.state for event in events if isinstance(event, CheckpointMade)]


def assert_same(a: Any, b: Any) -> None:
    for kind in ("lora", "ema", "moments"):
        assert a[kind].keys() == b[kind].keys() and a[kind]
        assert all(torch.equal(a[kind][name], b[kind][name]) for name in a[kind]), kind
    assert (a["epoch"], a["updates"], a["cost"]["nfe"]) == (b["epoch"], b["updates"], b["cost"]["nfe"])


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_going_on_from_any_state_ends_with_the_same_bits(model, whole, tmp_path, stop):
    seen = []
    training = train(CONFIG, model, REWARDS)
    for event in training:
        seen.append(event)
        if isinstance(event, CheckpointMade) and event.epoch == stop:
            break
    next(training, None)  # an epoch's work that is lost
    training.close()
    checkpoint.save(states(seen)[-1], tmp_path)
    torch.manual_seed(stop)  # no global random state takes part
    rest = list(train(CONFIG, model, REWARDS, state=checkpoint.load(tmp_path)))
    assert_same(states(whole)[-1], states(rest)[-1])
    told = [event for event in whole if isinstance(event, EpochFinished) and event.epoch > stop]
    again = [event for event in rest if isinstance(event, EpochFinished)]
    for one, other in zip(told, again, strict=True):
        assert (one.epoch, one.per_step, one.cost) == (other.epoch, other.per_step, other.cost)
        memory = {"peak_memory_mb"}
        assert {k: v for k, v in one.metrics.items() if k not in memory} == {
            k: v for k, v in other.metrics.items() if k not in memory
        }


def test_an_interrupted_epoch_leaves_nothing_behind(model, whole):
    """Stopped right before the state of epoch 2 was made, the run goes on from epoch 1's."""
    seen = []
    training = train(CONFIG, model, REWARDS)
    for event in training:
        seen.append(event)
        if isinstance(event, EpochFinished) and event.epoch == 2:
            break
    training.close()
    rest = list(train(CONFIG, model, REWARDS, state=states(seen)[-1]))
    assert states(seen)[-1]["epoch"] == 1
    assert_same(states(whole)[-1], states(rest)[-1])


def test_a_finished_run_can_be_made_longer(model, whole):
    longer = list(train(replace(CONFIG, epochs=5), model, REWARDS, state=states(whole)[-1]))
    assert [event.epoch for event in longer if isinstance(event, EpochFinished)] == [5]
    with pytest.raises(TrainError, match="other settings"):
        list(train(replace(CONFIG, group_size=4), model, REWARDS, state=states(whole)[-1]))


def velocity(model: Any) -> torch.Tensor:
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.velocity(latents, 0.7, model.encode(CONFIG.prompts[0], 1.0))


@pytest.mark.parametrize("which", ["lora", "ema"])
def test_the_files_open_in_diffusers(model, whole, tmp_path, which):
    """Rank 2 and alpha 8: an alpha that was lost would show as a fourth of the change."""
    state = states(whole)[-1]
    checkpoint.save(state, tmp_path)
    base = velocity(model)
    policy = Policy(CONFIG, model)
    policy.set_weights(state[which])
    trained = velocity(model)
    policy.remove()
    assert torch.equal(velocity(model), base) and not torch.allclose(trained, base, atol=1e-4)
    other = tiny.sd3_model()
    other.pipeline.load_lora_weights(tmp_path if which == "lora" else tmp_path / "ema")
    torch.testing.assert_close(velocity(other), trained, atol=1e-6, rtol=1e-5)


def test_what_was_changed_or_is_missing_is_refused(whole, tmp_path):
    digests = checkpoint.save(states(whole)[-1], tmp_path)
    assert set(digests) == {
        "pytorch_lora_weights.safetensors",
        "ema/pytorch_lora_weights.safetensors",
        "trainer.safetensors",
        "trainer.json",
    }
    told = json.loads((tmp_path / "trainer.json").read_text())
    assert told["versions"].keys() >= {"torch", "peft", "diffusers"} and told["state"]["config"]["lora_rank"] == 2
    moments = tmp_path / "trainer.safetensors"
    tensors = load_file(moments)
    save_file({name: one + 1 for name, one in tensors.items()}, moments)
    with pytest.raises(TrainError, match="trainer.safetensors .* is not what was stored"):
        checkpoint.load(tmp_path)
    moments.unlink()
    with pytest.raises(TrainError, match="lacks trainer.safetensors"):
        checkpoint.load(tmp_path)
    (tmp_path / "trainer.json").write_text("{")
    with pytest.raises(TrainError, match="no complete checkpoint"):
        checkpoint.load(tmp_path)


def test_flux_learns_and_its_file_opens_in_diffusers(tmp_path):
    flux = tiny.flux_model()
    config = replace(CONFIG, epochs=1, noise_source="random", eval_every=0)
    events = list(train(config, flux, REWARDS))
    last = [event for event in events if isinstance(event, EpochFinished)][-1]
    assert last.metrics["ratio_max_deviation"] == 0 and last.metrics["grad_norm"] > 0
    checkpoint.save(states(events)[-1], tmp_path)
    policy = Policy(config, flux)
    policy.set_weights(states(events)[-1]["lora"])
    latents = torch.randn(2, *flux.latent_shape)
    told = flux.encode(CONFIG.prompts[0], 1.0)
    with torch.no_grad():
        trained = flux.velocity(latents, 0.7, told)
        policy.remove()
        flux.pipeline.load_lora_weights(tmp_path)
        torch.testing.assert_close(flux.velocity(latents, 0.7, told), trained, atol=1e-6, rtol=1e-5)
