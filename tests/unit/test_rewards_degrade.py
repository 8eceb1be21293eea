"""Rewards made worse on purpose, by exactly as much as their names say."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import kstest, spearmanr

from app.toolbox import Resident
from core.config import ExploreConfig, SearchConfig
from core.events import ArmFinished, IterationScored
from core.explore import explore
from core.rewards.conformance import violations
from core.rewards.degrade import Degradation, DegradedReward, noise_ratio, read_degraded, standard_noise
from core.rewards.protocol import score
from core.rewards.registry import find, load_reward, usable
from core.search import cem
from tests.tiny import clip_reward, sd3_model


class Brightness:
    name = "bright"

    def __call__(self, images: torch.Tensor, prompts: object) -> torch.Tensor:
        return images.mean((1, 2, 3))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shapes-clip~0.5", Degradation("shapes-clip", 0.5)),
        ("shapes-clip~.25#7", Degradation("shapes-clip", 0.25, 7)),
        ("pickscore~1", Degradation("pickscore", 1.0)),
        ("shapes-clip", None),
        ("shapes-clip~0", None),
        ("shapes-clip~0.0", None),
        ("shapes-clip~1.5", None),
        ("shapes-clip~-0.5", None),
        ("shapes-clip~nan", None),
        ("shapes-clip~0.5#", None),
        ("shapes-clip~0.5~0.5", None),
        ("~0.5", None),
    ],
)
def test_names(name: str, expected: Degradation | None) -> None:
    assert read_degraded(name) == expected


@pytest.mark.parametrize("reliability", [0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_the_ranks_that_are_left_are_as_reliable_as_the_name_says(reliability: float) -> None:
    rng = np.random.default_rng(0)
    values = tuple(3 + 0.02 * rng.standard_normal(20_000))
    pictures = rng.integers(256, size=(20_000, 2, 2, 3), dtype=np.uint8)
    degraded = DegradedReward(Brightness(), Degradation("bright", reliability), "bright~").degrade(
        values, pictures, "a"
    )
    assert spearmanr(values, degraded).statistic == pytest.approx(reliability, abs=0.02)


def test_noise_is_standard_normal_and_depends_on_picture_prompt_and_seed_alone() -> None:
    drawn = [standard_noise(bytes([index % 256, index // 256]), "a", 0) for index in range(2_000)]
    assert kstest(drawn, "norm").pvalue > 0.01
    same = standard_noise(b"picture", "a cat", 1)
    assert same == standard_noise(b"picture", "a cat", 1)
    assert len({same, standard_noise(b"picture", "a cat", 2), standard_noise(b"picture", "a dog", 1)}) == 3
    assert standard_noise(b"other", "a cat", 1) != same


def test_perfect_reliability_adds_nothing_and_none_is_refused() -> None:
    assert noise_ratio(1) == pytest.approx(0, abs=1e-7)
    assert noise_ratio(0.5) == pytest.approx(1.653, abs=1e-3)
    for wrong in (0, -0.1, 1.1):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            noise_ratio(wrong)


def test_what_has_no_verdict_keeps_none() -> None:
    reward = DegradedReward(Brightness(), Degradation("bright", 0.5), "bright~0.5")
    pictures = np.zeros((3, 2, 2, 3), np.uint8)
    found = reward.degrade((math.nan, 1.0, 1.0), pictures, "a")
    assert math.isnan(found[0]) and found[1:] == (1.0, 1.0)  # there is no spread to lose ranks in
    assert math.isnan(reward.degrade((math.nan,), pictures[:1], "a")[0])


def test_as_a_reward_it_is_the_one_it_is_made_of() -> None:
    reward = DegradedReward(clip_reward(), Degradation("tiny-clip", 0.5), "tiny-clip~0.5")
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert violations(reward, images, ["a", "b", "c"]) == []
    assert score(reward, images, ["a"] * 3) == score(clip_reward(), images, ["a"] * 3)


def test_the_registry_knows_every_reward_degraded() -> None:
    spec = find("jpeg-compressibility~0.6")
    assert spec is not None and spec.title == "JPEG compressibility, degraded to 0.6" and spec.any_prompt
    assert usable("jpeg-compressibility~0.6") == (True, "")
    loaded = load_reward("jpeg-compressibility~0.6#3")
    assert loaded.name == "jpeg-compressibility~0.6#3"
    assert isinstance(loaded, DegradedReward) and loaded.degradation.seed == 3
    assert not usable("taste~0.6")[0] and find("taste~0.6") is None


def test_a_worker_holds_the_weights_once_however_many_are_made_of_them() -> None:
    loaded: list[str] = []
    resident = Resident(SimpleNamespace(load_reward=lambda name: loaded.append(name) or Brightness()))  # type: ignore[arg-type]
    names = ["bright~0.5", "bright~0.7#2", "bright"]
    found = resident.rewards(names)
    resident.rewards(names)
    assert loaded == ["bright"]
    assert [one.name for one in found.values()] == names
    assert found["bright~0.5"].reward is found["bright~0.7#2"].reward is found["bright"]


CONFIG = ExploreConfig(
    "a photo of a red circle",
    num_steps=4,
    search=SearchConfig(num_candidates=6, num_iterations=2),
    rewards={"bright~0.5": 1.0, "bright": 0.0},
    arms=("no_search", "best_of_sde"),
)


def test_a_search_ranks_by_the_noise_and_reports_the_truth() -> None:
    rewards = {"bright": Brightness()}
    rewards["bright~0.5"] = DegradedReward(Brightness(), Degradation("bright", 0.5), "bright~0.5")  # type: ignore[assignment]
    events = list(explore(CONFIG, sd3_model(), rewards))
    rounds = [event for event in events if isinstance(event, IterationScored)]
    assert rounds
    for event in rounds:
        noisy, clean = event.rewards["bright~0.5"], event.rewards["bright"]
        assert event.total == noisy != clean
        assert event.elites == cem.top(noisy, 2)
    assert any(event.elites != cem.top(event.rewards["bright"], 2) for event in rounds)
    for event in events:
        if isinstance(event, ArmFinished):
            assert event.rewards["bright~0.5"] == event.rewards["bright"]
    again = list(explore(CONFIG, sd3_model(), rewards))
    assert [event.total for event in again if isinstance(event, IterationScored)] == [event.total for event in rounds]


class Reversed(DegradedReward):
    """Noise that surely changes who is best, however a machine rounds the pictures that noise is drawn from."""

    def degrade(self, values: Sequence[float], pictures: Iterable[np.ndarray], prompt: str) -> tuple[float, ...]:
        return tuple(-value for value in values)


def test_best_of_many_is_chosen_by_what_the_search_sees() -> None:
    config = replace(CONFIG, rewards={"bright~0.02": 1.0}, search=replace(CONFIG.search, num_iterations=4))
    clean = [
        event for event in explore(replace(config, rewards={"bright": 1.0}), sd3_model(), {"bright": Brightness()})
    ]
    degraded = {"bright~0.02": Reversed(Brightness(), Degradation("bright", 0.02), "bright~0.02")}
    noisy = list(explore(config, sd3_model(), degraded))
    best = [
        [e for e in events if isinstance(e, ArmFinished) and e.arm == "best_of_sde"][0] for events in (clean, noisy)
    ]
    assert best[0].trajectories == best[1].trajectories > 3
    assert best[0].rewards["bright"] > best[1].rewards["bright~0.02"]
