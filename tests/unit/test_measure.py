"""The reliability measurement on a tiny real pipeline: what it measures, its cost, determinism and bad input."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from core import noise
from core.config import ExploreConfig, SearchConfig
from core.errors import ConfigError
from core.events import ArmFinished, Cost, IterationScored, SiblingsMeasured
from core.explore import explore
from core.measure import arrays, measure, schedule
from core.measure_config import ESTIMATES, MeasureConfig, from_dict, to_dict
from core.plan import measurement_cost
from core.reliability import analyse
from tests.tiny import sd3_model

BASE = ExploreConfig("-", num_steps=4, rewards={"bright": 1.0, "red": 0.0}, arms=())
CONFIG = MeasureConfig(("a photo of a red circle", "a photo of a star"), BASE, (0, 3), 4, estimates=ESTIMATES)


class Channel:
    """Mean of the chosen channels: bright or red."""

    range = (0.0, 1.0)

    def __init__(self, channels: slice):
        self.channels = channels

    def __call__(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return images[:, self.channels].mean(dim=(1, 2, 3))


REWARDS = {"bright": Channel(slice(None)), "red": Channel(slice(1))}


def measured(config: MeasureConfig = CONFIG, **more: frozenset[int]) -> list[SiblingsMeasured]:
    torch.set_num_threads(1)
    return list(measure(config, sd3_model(), REWARDS, **more))


@pytest.fixture(scope="module")
def events() -> list[SiblingsMeasured]:
    return measured()


def test_every_row_and_step_but_the_last_is_measured(events: list[SiblingsMeasured]) -> None:
    assert [(one.row, one.step) for one in events] == [(row, step) for row in range(4) for step in range(3)]
    assert [(one.prompt, one.seed) for one in events[::3]] == [(p, s) for p in CONFIG.prompts for s in (0, 3)]
    one = events[0]
    assert set(one.proxy) == set(ESTIMATES)
    assert set(one.truth) == {"bright", "red", "total"}
    assert one.guesses.shape == one.finals.shape == (4, *one.finals.shape[1:])
    assert one.truth["total"] == pytest.approx(one.truth["bright"])


def test_the_same_measurement_again_is_the_same_and_rows_stand_alone(events: list[SiblingsMeasured]) -> None:
    later = measured(done=frozenset({0, 1}))
    for again, first in zip(later, events[6:], strict=True):
        assert again.truth == first.truth
        assert again.proxy == first.proxy
        assert np.array_equal(again.finals, first.finals)


def test_at_the_last_step_every_estimate_from_the_step_on_is_the_truth() -> None:
    last = measured(replace(CONFIG, steps=(3,), estimates=("sde", "2-step", "heun")))
    for one in last:
        for name in ("sde", "2-step", "heun"):
            assert one.proxy[name]["total"] == pytest.approx(one.truth["total"], abs=1e-6)
            assert max(one.latent_distance[name]) == 0


def test_one_step_before_the_end_the_one_step_guess_is_the_ode(events: list[SiblingsMeasured]) -> None:
    """From the last noise level but zero the ODE takes one Euler step: the same formula."""
    for one in events[2::3]:
        assert max(one.latent_distance["sde"]) < 1e-5
        assert one.proxy["sde"]["total"] == pytest.approx(one.truth["total"], abs=1e-6)
        assert max(one.latent_distance["literal"]) > 1e-3


def test_the_cost_is_what_each_estimate_evaluates(events: list[SiblingsMeasured]) -> None:
    one, pair = events[0], 2
    velocities = {"literal": 1, "sde": 1, "2-step": 2, "3-step": 3, "5-step": 5, "heun": 2, "mean-of-3": 4}
    assert {name: cost.nfe for name, cost in one.cost.items()} == {n: 4 * pair * v for n, v in velocities.items()}
    assert one.truth_cost.nfe == 4 * pair * 3
    assert one.cost["mean-of-3"].decodes == 12


def test_truth_is_the_final_picture_of_a_session_that_goes_on_by_the_ode() -> None:
    """A search that returns its best of K at the last step but one, K = 1: the same noise, step and end."""
    config = replace(CONFIG, prompts=CONFIG.prompts[:1], seeds=(0,), steps=(2,), estimates=("sde",))
    one = measured(config)[0]
    noises = noise.candidates(tuple(sd3_model().latent_shape), 4, 0, f"siblings of {CONFIG.prompts[0]}", 2)
    assert len({float(x.sum()) for x in noises}) == 4
    found = one.returned["sde"]
    assert found.rewards["best"]["total"] == pytest.approx(one.truth["total"][found.elites[0]], abs=1e-6)
    assert found.elite_mean == pytest.approx(np.mean([one.proxy["sde"]["total"][i] for i in found.elites]))


def test_the_walk_is_that_of_an_unsearched_session() -> None:
    config = replace(CONFIG, prompts=CONFIG.prompts[:1], seeds=(0,), steps=(0, 1, 2, 3), num_siblings=2)
    row = measured(replace(config, num_elites=1, estimates=("literal",)))
    session = replace(config.of_row(CONFIG.prompts[0], 0), search=SearchConfig("no-search", 1, 0, 1.0))
    found = list(explore(session, sd3_model(), REWARDS))
    assert not any(isinstance(event, IterationScored) for event in found)
    final = next(event for event in found if isinstance(event, ArmFinished))
    # Siblings of the last step differ from the session's end by the last step's noise alone, which is tiny.
    assert row[-1].truth["total"] == pytest.approx([final.rewards["bright"]] * 2, abs=0.02)
    assert row[0].ended["total"] == pytest.approx(final.rewards["bright"], abs=1e-6)
    assert row[0].ended == row[-1].ended == row[-1].walked
    assert [one.walked["total"] for one in row] == pytest.approx(final.trail, abs=1e-6)


def test_a_start_between_noise_and_picture_takes_all_steps_from_there(events: list[SiblingsMeasured]) -> None:
    """From barely any noise every sibling stays near the model's own picture; from nearly all noise none does."""
    made = {top: measured(replace(CONFIG, start_sigma=top)) for top in (0.01, 0.6, 0.99)}
    own = sd3_model().sigmas(4)
    assert schedule(replace(CONFIG, start_sigma=0.6), sd3_model()).sigmas == pytest.approx([0.6 * s for s in own])
    assert [one.sigma for one in made[0.6][:3]] == pytest.approx([0.6 * s for s in own[:3]])
    spread = {top: np.std([one.truth["total"] for one in found[:1]]) for top, found in made.items()}
    assert spread[0.01] < spread[0.6] < spread[0.99]
    assert made[0.6][0].truth != events[0].truth


def test_what_is_planned_is_what_is_billed(events: list[SiblingsMeasured]) -> None:
    for config in (CONFIG, replace(CONFIG, steps=(3, 1), estimates=ESTIMATES[::-1]), replace(CONFIG, start_sigma=0.5)):
        made = events if config is CONFIG else measured(config)
        assert sum((one.total_cost for one in made), Cost()) == measurement_cost(config, 2)


def test_the_arrays_fit_the_statistics(events: list[SiblingsMeasured]) -> None:
    made = arrays(events[:-1], "sde", "total", "red")
    assert made["proxy"].shape == made["truth"].shape == (3, 4, 3)  # the unfinished row is left out
    assert list(made["prompts"]) == [0, 0, 1]
    assert made["proxy"][1, 2, 0] == events[3].proxy["sde"]["total"][2]
    assert made["truth"][1, 2, 0] == events[3].truth["red"][2]
    perfect = analyse(**arrays(events, "sde", "total", "total"))
    assert perfect.quantity == "within siblings"
    assert perfect.timesteps[2].spearman_median == pytest.approx(1)


def test_a_config_survives_json() -> None:
    assert from_dict(to_dict(CONFIG)) == CONFIG
    started = replace(CONFIG, start_sigma=0.6, steps=(2, 0))
    assert from_dict(to_dict(started)) == started


@pytest.mark.parametrize(
    ("rewards", "optimised", "held_out"),
    [
        ({"a": 1.0, "b": 0.0}, "a", ("b",)),
        ({"b": 0.0, "a": 0.5}, "a", ("b",)),
        ({"a": -1.0}, "total", ()),
        ({"a": 1.0, "b": 0.5, "c": 0.0, "d": 0.0}, "total", ("c", "d")),
    ],
)
def test_the_optimised_reward_is_what_a_search_would_climb(rewards: dict, optimised: str, held_out: tuple) -> None:
    config = replace(CONFIG, base=replace(BASE, rewards=rewards))
    assert (config.optimised, config.held_out) == (optimised, held_out)


def test_the_primary_estimate_is_where_a_search_would_look() -> None:
    names = [("heun", "literal", "sde"), ("heun", "literal"), ("heun", "5-step")]
    assert [replace(CONFIG, estimates=each).primary for each in names] == ["sde", "literal", "heun"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompts": []}, "prompts"),
        ({"prompts": ["a", "a"]}, "prompts"),
        ({"prompts": ["a", ""]}, "prompts"),
        ({"prompts": "a photo"}, "prompts"),
        ({"prompts": [["a"]]}, "prompts"),
        ({"seeds": [1, 1]}, "seeds"),
        ({"seeds": [-1]}, "seeds"),
        ({"num_siblings": 1}, "num_siblings"),
        ({"num_siblings": 1e9}, "num_siblings"),
        ({"num_siblings": True}, "num_siblings"),
        ({"num_elites": 17}, "num_elites"),
        ({"estimates": ["tea leaves"]}, "estimates"),
        ({"estimates": []}, "estimates"),
        ({"steps": [99]}, "steps"),
        ({"steps": []}, "steps"),
        ({"steps": [1, 1]}, "steps"),
        ({"estimates": ["sde", "sde"]}, "estimates"),
        ({"start_sigma": 1}, "start_sigma"),
        ({"start_sigma": True}, "start_sigma"),
        ({"start_sigma": float("nan")}, "start_sigma"),
        ({"base": {"prompt": "-", "step_kind": "ode"}}, "step_kind"),
        ({"more": 1}, "more"),
    ],
)
def test_what_cannot_be_measured_is_told(change: dict, field: str) -> None:
    with pytest.raises(ConfigError) as told:
        from_dict({"prompts": ["a photo of a star"]} | change)
    assert field in told.value.problems
