"""The trainer on a tiny model of the real classes: what is drawn, billed, learned, told, stored and refused."""

from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch

from core.config import SearchConfig
from core.errors import ConfigError, TrainError
from core.events import ArmFinished, StepCommitted
from core.explore import explore
from core.grpo import rollout, updates
from core.grpo.judging import HeldOut
from core.grpo.policy import Policy
from core.grpo.rollout import Member, layout, members_of, prefixes, roll_out
from core.grpo.sampling import stack
from core.grpo.scoring import Scorer
from core.grpo.trainer import train
from core.models.sd3 import SD3FlowModel
from core.prompts import trained_prompts
from core.rewards.registry import Given
from core.train_config import TrainConfig
from core.train_events import (
    CheckpointMade,
    EpochFinished,
    SamplesDrawn,
    SearchWatched,
    TrainFinished,
    TrainStarted,
)
from core.train_plan import forwards
from tests import tiny

PROMPTS = tuple(f"a photo of a {color} circle" for color in ("red", "blue", "green", "black"))
SMALL = TrainConfig(
    prompts=PROMPTS,
    rewards={"green": 1.0},
    epochs=2,
    prompts_per_epoch=2,
    group_size=3,
    updates_per_epoch=2,
    num_steps=4,
    sde_window=2,
    eval_steps=2,
    eval_prompts=2,
    window_min=0.0,
    window_max=1.0,
    lora_rank=2,
    lora_alpha=8.0,
    micro_batch=6,
    learning_rate=1e-2,
    eval_every=0,
    sample_every=0,
    checkpoint_every=1,
    search=SearchConfig("tried", 3, 2, 0.67),
)


def green(images: Any, prompts: Any) -> Any:
    return images[:, 1].mean((1, 2))


REWARDS = {"green": Given("green", green)}


@pytest.fixture(scope="module")
def model() -> SD3FlowModel:
    return tiny.sd3_model()


def run(config: TrainConfig, model: SD3FlowModel, rewards: Any = REWARDS, state: Any = None) -> list[Any]:
    return list(train(config, model, rewards, state=state))


def of(events: list[Any], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_the_events_come_in_order_and_the_model_is_left_as_it_was(model):
    before = {name: value.clone() for name, value in model.pipeline.transformer.state_dict().items()}
    events = run(replace(SMALL, eval_every=1), model)
    kinds = [type(event).__name__ for event in events if type(event).__name__ != "Diagnosed"]
    one = ["EpochFinished", "CheckpointMade"]
    assert kinds == [
        "TrainStarted",
        "EpochFinished",
        "SamplesDrawn",
        *one,
        "EpochFinished",
        "SamplesDrawn",
        "CheckpointMade",
        "TrainFinished",
    ]
    started, last = events[0], of(events, EpochFinished)[-1]
    assert started.eval_prompts == PROMPTS[:2] and started.latent_dim == 4 * 8 * 8
    assert started.clip_range == pytest.approx(1e-4 * (65536 / 256) ** 0.5)
    assert {"heldout", "heldout/green", "heldout_ema", "reward_mean", "group_std", "approx_kl"} <= last.metrics.keys()
    assert last.metrics["noise_norm"] == pytest.approx(1, abs=0.1) and last.metrics["updates"] == 2
    assert of(events, SamplesDrawn)[0].images.shape == (2, 16, 16, 3)
    after = model.pipeline.transformer.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert last.cost == of(events, TrainFinished)[0].cost


def test_training_moves_the_held_out_reward_up(model):
    config = replace(SMALL, epochs=25, group_size=8, lora_rank=4, ema=False, micro_batch=16, sde_window=None)
    first, *_, last = of(run(config, model), EpochFinished)
    assert last.metrics["heldout"] > first.metrics["heldout"] + 0.003  # a group's rewards spread by .004


@pytest.mark.parametrize(
    "changes", [{}, {"step_kind": "cps"}, {"step_kind": "dance"}, {"gradient_checkpointing": True}]
)
def test_the_first_updates_ratio_is_exactly_one(model, changes):
    first = of(run(replace(SMALL, epochs=1, **changes), model), EpochFinished)[1]
    assert first.metrics["ratio_max_deviation"] == 0
    assert any(value not in (None, 1.0) for value in first.per_step["ratio_mean"])  # the second update's is not


def test_gradient_checkpointing_changes_no_weight(model):
    plain, again = (
        of(run(replace(SMALL, epochs=1, gradient_checkpointing=on), model), CheckpointMade)[-1].state["lora"]
        for on in (False, True)
    )
    for name in plain:
        torch.testing.assert_close(plain[name], again[name], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sde_window": None, "kl_beta": 0.1},
        {"noise_source": "search", "searched_fraction": 0.5},
        {"noise_source": "search", "search": SearchConfig("blind", 3, 2, 0.67, selection="random")},
        {"noise_source": "best_of_k"},
        {"guidance_scale": 2.0},
        {"share_start": False},
    ],
)
def test_every_velocity_is_billed_as_planned(model, changes):
    config = replace(SMALL, **({"epochs": 1, "sde_window": 1, "window_min": 0.7, "window_max": 0.95} | changes))
    asked = 0
    bare = SD3FlowModel.velocity

    def counted(self: Any, latents: Any, sigma: float, conditioning: Any) -> Any:
        nonlocal asked
        asked += len(latents) * self.nfe(conditioning)
        return bare(self, latents, sigma, conditioning)

    with pytest.MonkeyPatch.context() as patch, closing(train(config, model, REWARDS)) as training:
        next(event for event in training if isinstance(event, SamplesDrawn))
        patch.setattr(SD3FlowModel, "velocity", counted)
        epoch = next(event for event in training if isinstance(event, EpochFinished))
    plan = forwards(config, model.sigmas(4), 2 if config.guidance_scale > 1 else 1)
    free = 0 if config.kl_beta else plan.update  # the look at kl_ref asks what the update asked
    assert epoch.cost.nfe == epoch.metrics["nfe"] == asked - epoch.metrics["nfe_eval"] - free
    assert epoch.cost.nfe == plan.epoch and epoch.metrics["nfe_eval"] == plan.evaluate


@pytest.mark.parametrize("changes", [{}, {"noise_source": "search", "searched_fraction": 0.5}, {"kl_beta": 0.1}])
def test_a_shared_start_is_evaluated_once_and_teaches_the_same(model, monkeypatch, changes):
    def last(config: Any) -> dict[str, Any]:
        return of(run(config, model), CheckpointMade)[-1].state["lora"]

    config = replace(SMALL, epochs=1, updates_per_epoch=1, **changes)
    once, counts = last(config), list[int]()

    def each(scorer: Any, members: Any, latents: Any, sigma: float, ask: Any = None) -> Any:
        counts.append(len(members) - len({one.start for one in members}))
        return (ask or scorer.velocity)(latents, sigma, stack([scorer.encode(one.prompt) for one in members]))

    for module in (rollout, updates):
        monkeypatch.setattr(module, "first_velocity", each)
    for name, value in last(config).items():
        torch.testing.assert_close(once[name], value, rtol=0, atol=2e-2 * config.learning_rate)
    assert max(counts) > 0


def test_only_the_windows_steps_are_trained(model):
    config = replace(SMALL, epochs=3, window_max=0.95)
    for event in of(run(config, model), EpochFinished)[1:]:
        trained = [step for step, value in enumerate(event.per_step["approx_kl"]) if value is not None]
        assert len(trained) == 2 and trained[0] + 1 == trained[1] and trained[-1] < 3
    everything = of(run(replace(SMALL, epochs=1, sde_window=None), model), EpochFinished)[1]
    assert [value is None for value in everything.per_step["approx_kl"]] == [False, False, False, True]


def test_a_sheet_shows_different_captions_and_a_run_of_before_its_own(model):
    """The eval split of the embedded world names some captions more than once."""
    config = replace(SMALL, prompts=(), eval_prompts=240, eval_every=0, epochs=1, eval_steps=1)
    scorer = Scorer(config, model, REWARDS)
    _, judged = trained_prompts(config)
    shown = HeldOut(scorer, judged, None).shown
    assert len({judged[place] for place in shown}) == len(shown) == 8 and shown != tuple(range(8))
    small = replace(SMALL, epochs=3, checkpoint_every=1, eval_prompts=3)
    state = of(run(replace(small, epochs=1), model), CheckpointMade)[-1].state
    assert state["shown"] == [0, 1, 2] and len(state["first"]["heldout"]) == 3
    old = {name: value for name, value in state.items() if name not in ("shown", "first")}
    again = of(run(small, model, state=deepcopy(old)), EpochFinished)
    whole = of(run(small, model, state=state), EpochFinished)
    assert "heldout_gain" in whole[-1].metrics and "heldout_gain" not in again[-1].metrics
    assert again[-1].metrics["heldout"] == whole[-1].metrics["heldout"]


def test_a_members_search_is_the_one_that_explore_runs(model):
    """Same prompt, seed and settings: searched at every step of the window, the trajectory is the session's."""
    config = replace(SMALL, sde_window=None, noise_source="search")
    member = Member(0, 0, PROMPTS[0], 77, 77, True)
    other = Member(0, 1, PROMPTS[1], 78, 78, True)
    scorer = Scorer(config, model, REWARDS)
    drawn = roll_out(scorer, [member, other], prefixes(scorer, [member, other], 0), (0, 1, 2), frozenset({0, 1, 2}))
    events = list(explore(replace(config.of_member(PROMPTS[0], 77), window_max=1.0), model, REWARDS))
    steps = [event for event in events if isinstance(event, StepCommitted)]
    for position in range(3):
        torch.testing.assert_close(drawn.after[position, :1], steps[position].latents, atol=1e-4, rtol=1e-4)
        assert float(drawn.noise_norm[position, 0]) == pytest.approx(steps[position].noise_norm, rel=1e-4)


def test_searched_and_random_members_stand_apart(model):
    config = replace(SMALL, noise_source="search", searched_fraction=0.34, prompts_per_epoch=4, micro_batch=4)
    members = members_of(config, 1, ["a", "b", "c", "d"])
    assert [one.searched for one in members[:3]] == [True, False, False]
    parts = layout(config, members)
    assert [[len(part) for part in parts] for parts in parts] == [[2, 4], [2, 4]]
    assert all(len({one.searched for one in part}) == 1 for parts in parts for part in parts)
    assert sorted((one.group, one.index) for update in parts for part in update for one in part) == [
        (one.group, one.index) for one in members
    ]
    found = of(run(replace(config, epochs=1), model), EpochFinished)[1].metrics
    assert -1 <= found["grad_cosine_searched"] <= 1
    assert found["group_std_searched"] == 0 < found["group_std_unsearched"]  # of one member, and of two


def test_the_best_of_k_is_the_best_of_its_trajectories(model):
    config = replace(SMALL, noise_source="best_of_k")
    members = [Member(0, i, PROMPTS[0], i, i, True) for i in range(3)]
    scorer = Scorer(config, model, REWARDS)
    starts = prefixes(scorer, members, 0)
    best = scorer.totals(roll_out(scorer, members, starts, (0, 1), frozenset()).pixels, [PROMPTS[0]] * 3)
    plain = Scorer(replace(config, noise_source="random"), model, REWARDS)
    first = plain.totals(roll_out(plain, members, starts, (0, 1), frozenset()).pixels, [PROMPTS[0]] * 3)
    assert all(a >= b for a, b in zip(best, first, strict=True)) and best != first
    assert scorer.meter.cost.nfe == 3 * plain.meter.cost.nfe


def test_a_watched_search_is_a_session_in_the_epochs_window(model):
    config = replace(SMALL, noise_source="search", watch_every=2)
    watched = of(run(config, model), SearchWatched)
    assert [one.epoch for one in watched] == [2]
    one = watched[0]
    assert one.config.seed == one.seed and one.config.prompt == one.prompt and one.prompt in PROMPTS
    assert sum(one.events[0].searched) == 2 and isinstance(one.events[-2], ArmFinished)


def test_samples_and_states_come_when_asked_for(model):
    training = train(replace(SMALL, checkpoint_every=0), model, REWARDS)
    assert isinstance(next(training), TrainStarted) and isinstance(next(training), EpochFinished)
    assert isinstance(training.send("sample"), SamplesDrawn)
    saved = training.send("save")
    assert isinstance(saved, CheckpointMade) and saved.epoch == 0
    training.close()
    assert not hasattr(model.pipeline.transformer, "peft_config")


def test_the_budget_ends_a_run_with_everything_stored(model):
    events = run(replace(SMALL, epochs=1000, max_seconds=1.0), model)
    last = of(events, EpochFinished)[-1]
    assert 1 <= last.epoch < 200 and "heldout" in last.metrics
    assert isinstance(events[-1], TrainFinished) and of(events, CheckpointMade)[-1].epoch == last.epoch


def _failing_at(call: int, result: Any) -> Any:
    calls = iter(range(10_000))

    def reward(images: Any, prompts: Any) -> Any:
        return result(images) if next(calls) >= call else green(images, prompts)

    return {"green": Given("green", reward)}


def _broken(images: Any) -> Any:
    raise KeyError("weights")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (_broken, "reward green failed with KeyError"),
        (lambda images: torch.full((len(images),), torch.nan), "No picture got a finite reward from green"),
        (lambda images: images[:, 0], "expected one number an image"),
    ],
)
def test_a_failing_reward_stops_with_the_last_state_told(model, result, said):
    seen: list[Any] = []
    with pytest.raises(TrainError, match=said) as caught:
        for event in train(SMALL, model, _failing_at(4, result)):  # look, sheet, epoch 1's two updates
            seen.append(event)
    assert of(seen, CheckpointMade)[-1].epoch == 1
    assert "in epoch 2" in str(caught.value) and "after epoch 1 is stored" in str(caught.value)
    assert not hasattr(model.pipeline.transformer, "peft_config")


def test_constant_rewards_are_refused_after_three_epochs(model):
    flat = {"green": Given("green", lambda images, prompts: torch.ones(len(images)))}
    seen: list[Any] = []
    with pytest.raises(TrainError, match="equal rewards, so there was nothing to learn"):
        seen += [event for event in _each(train(replace(SMALL, epochs=9), model, flat), seen)]
    found = of(seen, EpochFinished)
    assert [one.epoch for one in found] == [0, 1, 2]
    assert found[-1].metrics["zero_std_share"] == 1 and found[-1].metrics["updates"] == 0


def _each(training: Any, seen: list[Any]) -> Iterator[Any]:
    for event in training:
        seen.append(event)
    yield from ()


def test_members_without_a_verdict_are_left_out(model):
    def partly(images: Any, prompts: Any) -> Any:
        found = green(images, prompts)
        return torch.where(torch.arange(len(found)) % 3 == 0, torch.nan, found)

    found = of(run(replace(SMALL, epochs=1), model, {"green": Given("green", partly)}), EpochFinished)[1].metrics
    assert found["unscored_share"] == pytest.approx(1 / 3) and found["updates"] == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("no room"), r"Memory ran out \(no room\). Lower micro_batch"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "Memory ran out"),
        (torch.OutOfMemoryError("CUDA out of memory"), "Memory ran out"),
    ],
)
def test_running_out_of_memory_says_what_to_lower(model, monkeypatch, error, said):
    training = train(SMALL, model, REWARDS)
    next(event for event in training if isinstance(event, CheckpointMade))

    def full(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(model, "velocity", full)
    with pytest.raises(TrainError, match=said) as caught:
        list(training)
    assert "after epoch 1 is stored" in str(caught.value)


@pytest.mark.parametrize(("value", "said"), [(torch.nan, "values that are not finite"), (1e25, "not finite")])
def test_weights_that_break_are_told(model, monkeypatch, value, said):
    training = train(SMALL, model, REWARDS)
    next(event for event in training if isinstance(event, CheckpointMade))
    with torch.no_grad():
        for name, parameter in model.pipeline.transformer.named_parameters():
            if "lora_B" in name:
                parameter.fill_(value)
    with pytest.raises(TrainError, match=said):
        list(training)


def test_a_gradient_that_is_not_finite_is_told_before_it_is_applied(model, monkeypatch):
    training = train(SMALL, model, REWARDS)
    next(event for event in training if isinstance(event, CheckpointMade))
    weights = dict(model.pipeline.transformer.named_parameters())
    one = next(value for name, value in weights.items() if "lora_B" in name)
    one.register_hook(lambda gradient: gradient * torch.inf)
    before = one.detach().clone()
    with pytest.raises(TrainError, match="the gradient is not finite|The gradient is not finite"):
        next(training)
    assert torch.equal(one, before)


def test_what_cannot_be_trained_is_refused(model):
    with pytest.raises(ConfigError, match="none named shapes-verifier"):
        run(replace(SMALL, rewards={"shapes-verifier": 1.0}), model)
    with pytest.raises(ConfigError, match="as many steps as the window holds"):
        run(replace(SMALL, window_min=0.99), model)

    class Plain:
        id = "plain"

    with pytest.raises(ConfigError, match="plain has no diffusers transformer"):
        run(SMALL, Plain())  # type: ignore[arg-type]
    policy = Policy(SMALL, model)
    with pytest.raises(ConfigError, match="has an adapter already"):
        run(SMALL, model)
    policy.remove()
