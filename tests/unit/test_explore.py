"""The session engine on a tiny real pipeline: order, cost, determinism, resuming, and what goes wrong."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from core import noise
from core.config import ARMS, ExploreConfig, SearchConfig
from core.errors import ConfigError, RewardError, SearchError
from core.events import (
    INITIAL,
    ArmFinished,
    Cost,
    ExploreEvent,
    ExploreState,
    IterationScored,
    IterationState,
    SessionFinished,
    SessionStarted,
    StepCommitted,
)
from core.explore import explore
from core.plan import search_nfe, total_nfe, trajectories_for
from tests.tiny import sd3_model

CONFIG = ExploreConfig(
    prompt="a photo of a red circle",
    num_steps=4,
    window_min=0.2,
    window_max=0.95,
    search=SearchConfig(num_candidates=4, num_iterations=2, elite_fraction=0.5),
    rewards={"bright": 1.0, "red": 0.0},
)


class FunctionReward:
    """A reward from a function of pictures (B, 3, H, W)."""

    def __init__(self, name: str, function: Callable[[Tensor], Tensor]):
        self.name, self.function = name, function

    def __call__(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return self.function(images)


REWARDS = {
    "bright": FunctionReward("bright", lambda x: x.mean((1, 2, 3))),
    "red": FunctionReward("red", lambda x: x[:, 0].mean((1, 2))),
}


def run(config: ExploreConfig = CONFIG, rewards=REWARDS, state: ExploreState | None = None) -> list[ExploreEvent]:
    return list(explore(config, sd3_model(), rewards, state=state))


def same(one: ExploreEvent, other: ExploreEvent) -> bool:
    """Bit-identical, measured seconds aside."""
    if type(one) is not type(other):
        return False
    for name, a in vars(one).items():
        b = vars(other)[name]
        if isinstance(a, torch.Tensor):
            equal = torch.equal(a, b)
        elif isinstance(a, np.ndarray):
            equal = np.array_equal(a, b)
        else:
            equal = repr(a).split("seconds")[0] == repr(b).split("seconds")[0]  # repr: NaN equals NaN
        if not equal:
            return False
    return True


def state_after(events: list[ExploreEvent]) -> ExploreState:
    """What storage would know after these events."""
    steps = [e for e in events if isinstance(e, StepCommitted)]
    arms = [e for e in events if isinstance(e, ArmFinished)]
    initial = [e.latents for e in steps if e.step == INITIAL]
    steps = [e for e in steps if e.step != INITIAL]
    started = initial or steps or not any(isinstance(e, IterationScored) and e.step == INITIAL for e in events)
    under_way = len(steps) if started else INITIAL
    open_step = [e for e in events if isinstance(e, IterationScored) and e.step == under_way]
    costs = [e.cost for e in events if isinstance(e, IterationScored | StepCommitted)]
    return ExploreState(
        committed=tuple(e.latents for e in steps),
        iterations=tuple(IterationState(e.elites, e.total) for e in open_step),
        arms=tuple(e.arm for e in arms),
        cost=costs[-1] if costs else Cost(),
        trail=tuple(e.rewards["bright"] for e in steps),
        arms_cost=sum((e.cost for e in arms if e.arm != "search"), Cost()),
        initial=initial[0] if initial else None,
    )


def test_the_order_of_events() -> None:
    names = [type(event).__name__ for event in run()]
    searched = ["IterationScored", "IterationScored", "StepCommitted"]
    # Sigmas 1, .9, .75, .5 (about): the first is outside the window, the last step never searched.
    assert names[0] == "SessionStarted"
    assert names[1] == "StepCommitted"
    assert names[-len(ARMS) - 2 :] == ["ArmFinished"] * (len(ARMS) + 1) + ["SessionFinished"]
    assert names[2 : 2 + len(searched)] == searched


def test_same_config_and_seed_are_bit_identical() -> None:
    for one, other in zip(run(), run(), strict=True):
        assert same(one, other)
    different = run(replace(CONFIG, seed=1))
    assert not same(run()[0], different[0])


def test_resumed_after_every_event_it_goes_on_bit_identically() -> None:
    whole = run()
    for stop in range(len(whole) - 1):
        rest = run(state=state_after(whole[: stop + 1]))
        assert isinstance(rest[0], SessionStarted)
        expected = whole[stop + 1 :]
        assert len(rest) - 1 == len(expected), stop
        for one, other in zip(rest[1:], expected, strict=True):
            assert same(one, other), (stop, one, other)


def test_what_it_costs_is_what_the_plan_said() -> None:
    events, sigmas = run(), sd3_model().sigmas(CONFIG.num_steps)
    finished = {e.arm: e for e in events if isinstance(e, ArmFinished)}
    assert finished["search"].cost.nfe == search_nfe(CONFIG, sigmas, 2)
    assert isinstance(events[-1], SessionFinished)
    assert events[-1].cost.nfe == total_nfe(CONFIG, sigmas, 2)
    for arm in ("best_of_sde", "best_of_seed"):
        assert finished[arm].trajectories == trajectories_for(CONFIG, sigmas, 2)
        assert finished[arm].cost.nfe <= finished["search"].cost.nfe
    assert finished["random_elites"].cost.nfe == finished["no_search"].cost.nfe == finished["ode"].cost.nfe == 8


@pytest.mark.parametrize("reading", ["literal", "sde"])
@pytest.mark.parametrize(("estimator", "steps"), [("one_step", 1), ("k_step", 2), ("full", 1)])
def test_every_estimator_in_both_readings_costs_what_the_plan_said(reading, estimator, steps) -> None:
    config = replace(
        CONFIG, estimator=estimator, estimator_steps=steps, search=replace(CONFIG.search, reading=reading), arms=()
    )
    finished = [e for e in run(config) if isinstance(e, ArmFinished)]
    assert finished[0].cost.nfe == search_nfe(config, sd3_model().sigmas(4), 2)


def test_elites_are_the_best_candidates_and_any_others_can_be_sent_in() -> None:
    def last_norm(choose) -> tuple[float, ...]:
        engine, sent, seen = explore(replace(CONFIG, arms=()), sd3_model(), REWARDS), None, []
        while True:
            try:
                event = engine.send(sent)
            except StopIteration:
                return tuple(seen)
            sent = None
            if isinstance(event, IterationScored):
                assert [event.total[i] for i in event.elites] == sorted(event.total, reverse=True)[:2]
                sent = choose(event)
            if isinstance(event, StepCommitted):
                seen.append(float(event.latents.sum()))

    by_engine, by_hand = last_norm(lambda e: None), last_norm(lambda e: (2, 3))
    assert by_engine == last_norm(lambda e: e.elites)
    assert by_engine != by_hand
    with pytest.raises(SearchError, match="expected different candidates"):
        last_norm(lambda e: (9,))


def test_the_sde_reading_scores_where_the_sampler_goes() -> None:
    """With K = N = 1 and result best, the scored candidate is the committed noise: its estimate is the step's own."""
    search = SearchConfig(num_candidates=1, num_iterations=1, elite_fraction=1, reading="sde", result="best")
    events = run(replace(CONFIG, search=search, arms=()))
    for scored, committed in itertools.pairwise(events):
        if isinstance(scored, IterationScored):
            assert isinstance(committed, StepCommitted)
            assert scored.total[0] == pytest.approx(committed.rewards["bright"], abs=1e-6)


def test_a_search_without_signal_uses_the_arm_of_random_elites() -> None:
    """The preset random-elites ends exactly where the arm random_elites does, and pays for no scoring."""
    events = run(replace(CONFIG, search=replace(CONFIG.search, selection="random"), arms=("random_elites",)))
    search, arm = [e for e in events if isinstance(e, ArmFinished)]
    assert torch.equal(search.latents, arm.latents)
    assert search.cost.nfe == arm.cost.nfe


def test_no_search_is_the_arm_no_search() -> None:
    events = run(replace(CONFIG, search=replace(CONFIG.search, num_iterations=0), arms=("no_search",)))
    search, arm = [e for e in events if isinstance(e, ArmFinished)]
    assert torch.equal(search.latents, arm.latents)
    assert not any(isinstance(e, IterationScored) for e in events)


def test_noise_does_not_depend_on_the_batch() -> None:
    together = noise.candidates((2, 3, 3), 5, 7, "search", 1, 2)
    assert torch.equal(together[3:4], noise.normal((2, 3, 3), 7, "search", 1, 2, 3))
    assert not torch.equal(together[0], together[1])
    small, large = run(replace(CONFIG, batch_size=1)), run(replace(CONFIG, batch_size=64))
    for one, other in zip(small, large, strict=True):
        if isinstance(one, StepCommitted):
            torch.testing.assert_close(one.latents, other.latents, atol=1e-4, rtol=1e-4)


def test_non_finite_rewards_are_left_out() -> None:
    def first_lost(images: Tensor) -> Tensor:
        scores = images.mean((1, 2, 3)).clone()
        scores[0] = math.nan
        return scores

    rewards = REWARDS | {"bright": FunctionReward("bright", first_lost)}
    for event in run(rewards=rewards):
        if isinstance(event, IterationScored):
            assert math.isnan(event.total[0])
            assert 0 not in event.elites and len(event.elites) == 2


def test_a_watched_reward_cannot_spoil_the_searched_sum() -> None:
    rewards = REWARDS | {"red": FunctionReward("red", lambda x: torch.full((len(x),), math.nan))}
    scored = [e for e in run(rewards=rewards) if isinstance(e, IterationScored)]
    assert all(math.isfinite(value) for e in scored for value in e.total)


def test_rewards_without_a_finite_value_still_finish() -> None:
    rewards = REWARDS | {"bright": FunctionReward("bright", lambda x: torch.full((len(x),), math.nan))}
    events = run(rewards=rewards)
    assert all(e.elites == () for e in events if isinstance(e, IterationScored))
    assert isinstance(events[-1], SessionFinished)


def test_constant_rewards_keep_the_first_candidates() -> None:
    rewards = REWARDS | {"bright": FunctionReward("bright", lambda x: torch.zeros(len(x)))}
    assert all(e.elites == (0, 1) for e in run(rewards=rewards) if isinstance(e, IterationScored))


def test_a_reward_that_raises_is_named() -> None:
    def fail(images: Tensor) -> Tensor:
        raise ZeroDivisionError("no")

    with pytest.raises(RewardError, match="bright.*ZeroDivisionError"):
        run(rewards=REWARDS | {"bright": FunctionReward("bright", fail)})


def test_a_reward_of_the_wrong_length_is_named() -> None:
    with pytest.raises(RewardError, match="red: expected one number an image"):
        run(rewards=REWARDS | {"red": FunctionReward("red", lambda x: torch.zeros(len(x) + 1))})


def test_a_reward_that_was_not_loaded_is_named() -> None:
    with pytest.raises(ConfigError, match="none named red"):
        run(rewards={"bright": REWARDS["bright"]})


def test_too_few_elites_are_refused_before_anything_runs() -> None:
    config = replace(CONFIG, search=replace(CONFIG.search, elite_fraction=0.1))
    with pytest.raises(ConfigError, match=r"must be at least 1, got floor\(0.1 \* 4\) = 0"):
        run(config)
