"""What is said of the prompts that a fine-tune is judged by is true of those that it draws."""

import pytest

from core.prompts import judged_on, prompt_set_names, trained_prompts
from core.train_config import TrainConfig


@pytest.mark.parametrize("name", prompt_set_names())
@pytest.mark.parametrize("asked", [1, 120, 1000])
def test_counts_and_whether_it_learns_from_them(name: str, asked: int) -> None:
    config = TrainConfig(prompt_set=name, eval_prompts=asked)
    learned, judged = trained_prompts(config)
    told = judged_on(config)
    assert (told.captions, told.different) == (len(judged), len(set(judged))) and told.captions <= asked
    assert told.unseen == (not set(learned) & set(judged))


def test_the_embedded_worlds_captions_repeat() -> None:
    told = judged_on(TrainConfig(eval_prompts=1000))
    assert (told.captions, told.different, told.unseen) == (240, 132, True)


@pytest.mark.parametrize(("count", "captions", "unseen"), [(1, 1, False), (7, 7, False), (8, 2, True)])
def test_fewer_than_eight_own_lines_are_trained_and_judged(count: int, captions: int, unseen: bool) -> None:
    told = judged_on(TrainConfig(prompts=tuple(f"line {place}" for place in range(count))))
    assert (told.captions, told.unseen) == (captions, unseen)
    assert told.words == ("prompts never trained" if unseen else "the prompts it is trained on")
