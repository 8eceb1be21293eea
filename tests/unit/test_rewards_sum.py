"""Several rewards in one sum: as they are, or each on the scale of its group; and every reward in a real search."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from core.config import ExploreConfig, SearchConfig, config_hash, from_dict, problems_of, to_dict
from core.evaluation import normalised_total, weighted_total
from core.events import ArmFinished, IterationScored
from core.explore import explore
from core.rewards.registry import REWARDS
from core.search import cem
from tests.tiny import flux_model, sd3_model
from tests.unit.test_rewards_each import BUILDERS

CONFIG = ExploreConfig("a photo of a red apple", num_steps=3, search=SearchConfig(num_candidates=6, num_iterations=1))


class Channel:
    def __init__(self, channel: int, scale: float, offset: float = 0.0) -> None:
        self.name, self.channel, self.scale, self.offset = f"channel-{channel}", channel, scale, offset

    def __call__(self, images: Tensor, prompts: object) -> Tensor:
        return images[:, self.channel].mean((1, 2)) * self.scale + self.offset


def test_a_weight_says_how_much_whatever_the_unit() -> None:
    rewards = {"a": (1.0, 2.0, 3.0), "b": (300.0, 200.0, 100.0), "watched": (9.0, 9.0, math.nan)}
    spread = math.sqrt(2 / 3)
    assert normalised_total(rewards, {"a": 1, "b": 1, "watched": 0}) == pytest.approx((0, 0, 0))
    assert normalised_total(rewards, {"a": 1, "b": 0.5}) == pytest.approx((-0.5 / spread, 0, 0.5 / spread))
    assert weighted_total(rewards, {"a": 1, "b": 1, "watched": 0}) == (301, 202, 103)
    alone = np.array(normalised_total(rewards, {"b": -2}))
    assert alone.mean() == pytest.approx(0) and alone.std() == pytest.approx(2)


def test_no_verdict_stays_none_and_no_difference_counts_nothing() -> None:
    found = normalised_total({"a": (1.0, math.nan, 3.0, math.inf)}, {"a": 1})
    assert found[0] == pytest.approx(-1) and found[2] == pytest.approx(1)
    assert not math.isfinite(found[1]) and not math.isfinite(found[3])
    assert normalised_total({"a": (0.1 + 0.2, 0.3, 0.3)}, {"a": 5}) == pytest.approx((0, 0, 0), abs=1e-12)
    assert normalised_total({"a": (7.0,)}, {"a": 1}) == (0.0,)
    assert math.isnan(normalised_total({"a": (math.nan,)}, {"a": 1})[0])


def test_normalised_elites_and_raw_totals() -> None:
    rewards = {one.name: one for one in (Channel(0, 1.0), Channel(1, 1_000.0, 5.0))}
    config = replace(CONFIG, rewards={"channel-0": 1.0, "channel-1": 1.0}, arms=())
    raw, normalised = (
        next(
            event
            for event in explore(replace(config, reward_sum=how), sd3_model(), rewards)  # type: ignore[arg-type]
            if isinstance(event, IterationScored)
        )
        for how in ("raw", "normalised")
    )
    assert raw.rewards == normalised.rewards and raw.total == normalised.total
    assert raw.elites == cem.top(raw.total, 2) == cem.top(raw.rewards["channel-1"], 2)
    assert normalised.elites == cem.top(normalised_total(raw.rewards, config.rewards), 2) != raw.elites


def test_sessions_of_before_keep_their_digest() -> None:
    config = ExploreConfig("a photo of a red circle left of a blue star", threads=1)
    plain = to_dict(config)
    assert plain.pop("reward_sum") == "raw" and from_dict(plain) == config
    assert config_hash(config) != config_hash(replace(config, reward_sum="normalised"))


def test_the_best_of_several_rounds_has_no_common_scale() -> None:
    search = SearchConfig(result="best")
    assert "reward_sum" in problems_of(replace(CONFIG, reward_sum="normalised", search=search))
    assert problems_of(replace(CONFIG, reward_sum="normalised")) == {}
    told = problems_of(replace(CONFIG, reward_sum="mean"))  # type: ignore[arg-type]
    assert told == {"reward_sum": "expected one of raw, normalised, got 'mean'"}


@pytest.mark.parametrize("build", [sd3_model, flux_model])
@pytest.mark.parametrize("name", BUILDERS)
def test_every_reward_is_climbed(name: str, build: Callable[[], Any], tmp_path: Path) -> None:
    prompt = "a photo of a red circle" if REWARDS[name].prompts == "shapes" else CONFIG.prompt
    config = replace(CONFIG, prompt=prompt, rewards={name: 1.0}, arms=("no_search",), batch_size=4, window_max=0.95)
    with torch.random.fork_rng():
        events = list(explore(config, build(), {name: BUILDERS[name](tmp_path)}))
    scored = [event for event in events if isinstance(event, IterationScored)]
    assert scored and all(len(event.total) == 6 and all(map(math.isfinite, event.total)) for event in scored)
    assert all(math.isfinite(event.rewards[name]) for event in events if isinstance(event, ArmFinished))
