"""Searching x_1: where it comes, what it gives, what it costs, and what the arms start from."""

import math
from dataclasses import replace

import pytest
import torch

from core import noise
from core.config import (
    PRESET_SESSION,
    PRESETS,
    ExploreConfig,
    SearchConfig,
    config_hash,
    from_dict,
    problems_of,
    to_dict,
)
from core.denoise import euler, one_step
from core.events import INITIAL, ArmFinished, IterationScored, IterationState, SessionStarted, StepCommitted
from core.plan import search_nfe, searched_steps
from core.search.cem import shell_norm
from core.search.rounds import Rounds
from tests.tiny import sd3_model
from tests.unit.test_explore import CONFIG, run, same, state_after

INITIAL_CONFIG = replace(CONFIG, search_initial=True)


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_x_1_is_searched_before_the_first_step() -> None:
    events = run(replace(INITIAL_CONFIG, arms=()))
    started, first, second, chosen = events[:4]
    assert isinstance(started, SessionStarted) and isinstance(first, IterationScored)
    assert [event.step for event in (first, second, chosen)] == [INITIAL] * 3
    assert isinstance(chosen, StepCommitted) and (first.iteration, second.iteration) == (0, 1)
    assert torch.equal(started.latents, noise.normal(started.latent_shape, CONFIG.seed, "x1"))
    assert not torch.equal(chosen.latents, started.latents)
    unsearched = run(replace(CONFIG, arms=()))
    assert [type(event) for event in events[4:]] == [type(event) for event in unsearched[1:]]
    assert not same(events[4], unsearched[1])


def test_its_candidates_are_starting_noises_scored_where_they_are() -> None:
    """With K = N = 1 and result best the chosen x_1 is the only candidate: both have the same one-step estimate."""
    search = SearchConfig(num_candidates=1, num_iterations=1, elite_fraction=1, result="best")
    started, scored, chosen, *_ = run(replace(INITIAL_CONFIG, search=search, arms=()))
    expected = noise.normal(started.latent_shape, CONFIG.seed, "search", INITIAL, 0, 0)
    assert torch.equal(chosen.latents, expected)
    assert scored.total[0] == pytest.approx(chosen.rewards["bright"], abs=1e-6)
    assert scored.over_noise == 1.0
    model = sd3_model()
    velocity = model.velocity(expected, 1.0, model.encode(CONFIG.prompt, CONFIG.guidance_scale))
    picture = model.decode(one_step(expected, velocity, 1.0))
    assert scored.total[0] == pytest.approx(float(picture.mean()), abs=1e-6)


@pytest.mark.parametrize(("result", "changed"), [("mean", True), ("mean_on_shell", False), ("best", False)])
def test_a_mean_is_rescaled_so_that_the_trajectory_starts_from_a_noise_of_full_size(result, changed) -> None:
    search = replace(CONFIG.search, num_candidates=8, num_iterations=1, result=result)
    chosen = next(e for e in run(replace(INITIAL_CONFIG, search=search, arms=())) if isinstance(e, StepCommitted))
    rounds = Rounds(replace(INITIAL_CONFIG, search=search), tuple(chosen.latents.shape[1:]), INITIAL)
    assert chosen.noise_norm == pytest.approx(float(shell_norm(chosen.latents)), abs=1e-6)
    assert 0.9 < chosen.noise_norm < 1.1
    if changed:
        state = rounds.start()
        candidates = rounds.ask(state, 0)
        scored = next(e for e in run(replace(INITIAL_CONFIG, search=search)) if isinstance(e, IterationScored))
        mean = candidates[list(scored.elites)].mean(0, keepdim=True)
        assert float(shell_norm(mean)) < 0.6
        torch.testing.assert_close(chosen.latents, mean / shell_norm(mean))
    assert chosen.log_prob == pytest.approx(-(chosen.noise_norm**2 + math.log(2 * math.pi)) / 2, abs=1e-6)


def test_resumed_after_every_event_it_goes_on_bit_identically() -> None:
    whole = run(INITIAL_CONFIG)
    for stop in range(len(whole) - 1):
        rest = run(INITIAL_CONFIG, state=state_after(whole[: stop + 1]))
        assert len(rest) - 1 == len(whole[stop + 1 :]), stop
        for one, other in zip(rest[1:], whole[stop + 1 :], strict=True):
            assert same(one, other), (stop, one, other)


@pytest.mark.parametrize("reading", ["literal", "sde"])
@pytest.mark.parametrize(("estimator", "steps"), [("one_step", 1), ("k_step", 2), ("full", 1)])
def test_it_costs_what_the_plan_said(reading, estimator, steps) -> None:
    search = replace(CONFIG.search, reading=reading)
    config = replace(INITIAL_CONFIG, estimator=estimator, estimator_steps=steps, search=search, arms=())
    finished = of(run(config), ArmFinished)
    sigmas = sd3_model().sigmas(4)
    assert finished[0].cost.nfe == search_nfe(config, sigmas, 2)
    assert searched_steps(config, sigmas) == searched_steps(replace(config, search_initial=False), sigmas) + 1


def test_arms_start_from_the_x_1_that_nobody_searched() -> None:
    searched, plain = (
        {event.arm: event for event in of(run(replace(config, arms=("no_search", "ode"))), ArmFinished)}
        for config in (INITIAL_CONFIG, CONFIG)
    )
    for arm in ("no_search", "ode"):
        assert torch.equal(searched[arm].latents, plain[arm].latents)


def test_blind_elites_search_x_1_blindly_too() -> None:
    config = replace(INITIAL_CONFIG, search=replace(CONFIG.search, selection="random"), arms=("random_elites",))
    search, arm = of(run(config), ArmFinished)
    assert torch.equal(search.latents, arm.latents)
    assert search.cost.nfe == arm.cost.nfe


def test_the_preset_searches_x_1_alone_and_an_ode_may_follow() -> None:
    config = replace(CONFIG, search=replace(PRESETS["initial-noise"], num_candidates=4, elite_fraction=0.25), arms=())
    config = replace(config, **PRESET_SESSION["initial-noise"], step_kind="ode")
    events = run(config)
    scored = of(events, IterationScored)
    assert [event.step for event in scored] == [INITIAL]
    best = max(range(4), key=lambda k: scored[0].total[k])
    latents = Rounds(config, tuple(events[0].latent_shape), INITIAL).candidates_after(())[best : best + 1]
    assert torch.equal(of(events, StepCommitted)[0].latents, latents)
    model = sd3_model()
    prompt = model.encode(config.prompt, config.guidance_scale)
    end = euler(latents, model.sigmas(4), lambda x, sigma: model.velocity(x, sigma, prompt))
    final = of(events, ArmFinished)[0]
    torch.testing.assert_close(final.latents, end)
    assert final.rewards["bright"] == pytest.approx(scored[0].total[best], abs=1e-5), "what was scored is what comes"
    assert "step_kind" in problems_of(replace(config, window_max=0.8))


def test_a_preset_without_iterations_searches_nothing() -> None:
    config = replace(INITIAL_CONFIG, search=replace(CONFIG.search, num_iterations=0), arms=())
    assert not of(run(config), IterationScored)
    assert searched_steps(config, sd3_model().sigmas(4)) == 0


def test_elites_sent_in_decide_the_x_1() -> None:
    from core.explore import explore
    from tests.unit.test_explore import REWARDS

    config = replace(INITIAL_CONFIG, arms=())
    engine, sent, past = explore(config, sd3_model(), REWARDS), None, []
    while not isinstance(event := engine.send(sent), StepCommitted):
        sent = (3, 1) if isinstance(event, IterationScored) else None
        if sent:
            past.append(IterationState(sent, event.total))
    rounds = Rounds(config, tuple(event.latents.shape[1:]), INITIAL)
    last = rounds.candidates_after(past[:-1])
    mean = last[[3, 1]].mean(0, keepdim=True)
    torch.testing.assert_close(event.latents, mean / shell_norm(mean))


def test_settings_that_came_later_change_no_old_digest() -> None:
    plain = to_dict(CONFIG)
    del plain["search_initial"], plain["search"]["algorithm"]
    assert from_dict(plain) == CONFIG
    assert config_hash(ExploreConfig("a red circle")) == "360dd15979db0116", "as stored before they came"
    assert config_hash(INITIAL_CONFIG) != config_hash(CONFIG)
    other = replace(CONFIG, search=replace(CONFIG.search, algorithm="other"))
    assert config_hash(other) != config_hash(CONFIG)
