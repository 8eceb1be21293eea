"""What is said of a history of figures."""

import pytest

from core.grpo.diagnosis import diagnose
from core.train_config import TrainConfig, preset

SOUND = {"zero_std_share": 0.1, "unscored_share": 0.0, "clip_fraction": 0.1, "noise_norm": 1.0, "diversity": 0.3}


def history(count: int = 12, **changes: float) -> list[dict[str, float]]:
    before = {"epoch": 0.0, "heldout": 0.5, "verifier": 0.5, "kid": 0.01}
    return [before] + [{"epoch": float(n), **SOUND, **changes} for n in range(1, count + 1)]


def test_nothing_is_said_before_the_first_epoch_and_of_a_sound_start():
    assert diagnose([], TrainConfig()) == () and diagnose(history(0), TrainConfig()) == ()
    assert diagnose(history(3), TrainConfig()) == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"zero_std_share": 0.62}, "62% of groups have equal rewards, nothing to learn"),
        ({"unscored_share": 0.25}, "25% of pictures got no finite reward"),
        ({"heldout": 0.7, "verifier": 0.4}, "exact verifier falls (from 50% to 40%)"),
        ({"clip_fraction": 0.9}, "lower the learning rate"),
        ({"clip_fraction": 0.0}, "could be higher"),
        ({"kid": 0.05}, "move away from true scenes"),
        ({"grad_cosine_searched": -0.2}, "opposite directions"),
        ({"heldout": 0.6}, "has risen, from 0.500 to 0.600"),
        ({"heldout": 0.4}, "has fallen, from 0.500 to 0.400"),
    ],
)
def test_each_figure_has_its_sentence(changes, said):
    found = diagnose(history(**changes), TrainConfig(updates_per_epoch=2))  # with one, nothing is ever clipped
    assert sum(said in sentence for sentence in found) == 1


def test_small_noises_are_told_only_of_a_search():
    small = history(noise_norm=0.3)
    assert "30% of a real noise's size" in diagnose(small, preset("smart-grpo"))[0]
    assert diagnose(small, TrainConfig()) == ()


def test_pictures_that_become_alike():
    told = history(6) + [{"epoch": float(n), **SOUND, "diversity": 0.05} for n in range(7, 13)]
    assert any("become alike" in sentence for sentence in diagnose(told, TrainConfig()))
