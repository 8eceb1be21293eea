"""What is said of a history of figures."""

import pytest

from core.grpo.diagnosis import diagnose, tone_of
from core.train_config import TrainConfig, preset

SOUND = {"zero_std_share": 0.1, "unscored_share": 0.0, "clip_fraction": 0.1, "noise_norm": 1.0, "diversity": 0.3}


def gain(low: float, high: float, name: str = "heldout") -> dict[str, float]:
    return {f"{name}_gain": (low + high) / 2, f"{name}_gain_low": low, f"{name}_gain_high": high}


FOOLED = {**gain(0.1, 0.3), **gain(-0.2, -0.01, "verifier")}


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
        ({"heldout": 0.7, "verifier": 0.4, **FOOLED}, "exact verifier falls (from 50% to 40%)"),
        ({"clip_fraction": 0.9}, "lower the learning rate"),
        ({"clip_fraction": 0.0}, "could be higher"),
        ({"kid": 0.05}, "move away from true scenes"),
        ({"grad_cosine_searched": -0.2}, "opposite directions"),
        ({"heldout": 0.6, **gain(0.02, 0.18)}, "trained weights has risen, from 0.500 to 0.600 (+0.100, 95%"),
        ({"heldout": 0.4, **gain(-0.18, -0.02)}, "has fallen, from 0.500 to 0.400"),
        ({"heldout": 0.4, **gain(-0.21, 0.01)}, "went from 0.500 to 0.400 (-0.100, 95% interval over captions -0.210"),
        ({"heldout": 0.4, **gain(-0.21, 0.01)}, "no change that can be told from chance"),
        ({"heldout": 0.4}, "nothing is stored that tells"),
    ],
)
def test_each_figure_has_its_sentence(changes, said):
    found = diagnose(history(**changes), TrainConfig(updates_per_epoch=2))  # with one, nothing is ever clipped
    assert sum(said in sentence for sentence in found) == 1


def test_gradients_that_have_nothing_to_do_with_each_other_are_not_called_opposite():
    assert diagnose(history(grad_cosine_searched=-0.004), TrainConfig()) == ()


def test_small_noises_are_told_only_of_a_search():
    small = history(noise_norm=0.3)
    assert "30% of a real noise's size" in diagnose(small, preset("smart-grpo"))[0]
    assert diagnose(small, TrainConfig()) == ()


def test_pictures_that_become_alike():
    told = history(6) + [{"epoch": float(n), **SOUND, "diversity": 0.05} for n in range(7, 13)]
    assert any("become alike" in sentence for sentence in diagnose(told, TrainConfig()))


def test_the_verdict_is_of_the_weights_that_are_kept():
    """The averaged weights fell surely, the trained ones rose surely: the run leaves the averaged ones."""
    told = history(heldout=0.7, heldout_ema=0.3, **gain(0.1, 0.3), **gain(-0.3, -0.1, "heldout_ema"))
    told[0]["heldout_ema"] = 0.5
    (sentence,) = diagnose(told, TrainConfig())
    assert "reward of the averaged weights has fallen, from 0.500 to 0.300" in sentence


def test_own_lines_that_are_too_few_are_not_called_unseen():
    told = history(heldout=0.6, **gain(0.02, 0.18))
    for count, words in ((7, "On the prompts it is trained on"), (8, "On prompts never trained")):
        lines = tuple(f"a photo of a red circle {place}" for place in range(count))
        assert diagnose(told, TrainConfig(prompts=lines))[-1].startswith(words)


def test_only_what_is_to_be_mended_sounds_like_it():
    def last(low: float, high: float) -> str:
        return tone_of(diagnose(history(heldout=0.5, **gain(low, high)), TrainConfig())[-1])

    assert (last(0.1, 0.2), last(-0.1, 0.2), last(-0.2, -0.1)) == ("good", "even", "bad")
