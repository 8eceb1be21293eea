"""A fine-tune's settings, its cost beforehand and its prompts, none of which needs torch."""

import subprocess
import sys
from dataclasses import replace

import pytest

from core.config import PRESETS, SearchConfig
from core.errors import ConfigError
from core.prompts import prompt_set, prompt_set_names, split_lines
from core.schedule import shifted
from core.shapes.scenes import evaluation_captions, parse_caption
from core.train_config import (
    TRAIN_PRESETS,
    TrainConfig,
    config_hash,
    from_dict,
    preset,
    problems_of,
    to_dict,
    windows,
)
from core.train_help import PRESET_HELP, TRAIN_HELP
from core.train_plan import forwards, looks


@pytest.mark.parametrize("name", TRAIN_PRESETS)
def test_presets_are_sound_and_travel(name):
    config = preset(name)
    assert problems_of(config) == {} and from_dict(to_dict(config)) == config
    assert from_dict({"preset": name}) == config and PRESET_HELP[name]


def test_every_setting_has_its_sentence():
    assert set(TRAIN_HELP) == (set(TrainConfig.__dataclass_fields__) - {"search"}) | {
        f"search.{name}" for name in SearchConfig.__dataclass_fields__
    }


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"preset": "x"}, "preset", "expected one of flow-grpo"),
        ({"epochs": 0}, "epochs", "whole number from 1 to 100,000, got 0"),
        ({"epochs": True}, "epochs", "got True"),
        ({"group_size": 1}, "group_size", "from 2 to 256"),
        ({"clip_range": -1}, "clip_range", "or nothing, got -1"),
        ({"learning_rate": float("nan")}, "learning_rate", "got nan"),
        ({"step_kind": "ode"}, "step_kind", "no noise"),
        ({"noise_source": "magic"}, "noise_source", "random, search, best_of_k"),
        ({"ema": 1}, "ema", "expected one of true, false"),
        ({"updates_per_epoch": 9}, "updates_per_epoch", "got 9 for 4 prompts"),
        ({"sde_window": 6}, "sde_window", "expected at most 5 steps"),
        ({"rewards": {"a": 0.0}}, "rewards", "weight other than 0"),
        ({"rewards": {"a~0.5": 1.0}}, "rewards", "expected rewards as they are"),
        ({"guidance_scale": -1}, "guidance_scale", "from 0 to 30"),
        ({"prompts": ("a", "a")}, "prompts", "every prompt once"),
        ({"prompts": ("a", " ")}, "prompts", "line 2"),
        ({"noise_source": "search", "search": PRESETS["no-search"]}, "noise_source", "searches nothing"),
        ({"search": replace(SearchConfig(), elite_fraction=0.1)}, "search.elite_fraction", "got floor(0.1 * 5) = 0"),
        ({"micro_batch": 0}, "micro_batch", "from 1 to 1,024"),
    ],
)
def test_what_is_wrong_is_named(changes, field, said):
    found = problems_of(replace(TrainConfig(), **changes))
    assert list(found) == [field] and said in found[field]


@pytest.mark.parametrize(
    "plain", [[], {"colour": 1}, {"preset": 3}, {"search": 1}, {"search": {"depth": 1}}, {"prompts": "a"}]
)
def test_what_is_no_config_is_refused(plain):
    with pytest.raises(ConfigError):
        from_dict(plain)


def test_a_named_search_brings_its_settings():
    found = from_dict({"noise_source": "search", "search": {"preset": "one-shot", "num_candidates": 9}})
    assert found.search == replace(PRESETS["one-shot"], num_candidates=9)


def test_the_digest_is_of_what_decides_the_weights():
    base = config_hash(TrainConfig())
    for same in ({"eval_every": 7}, {"checkpoint_every": 1}, {"max_seconds": 9.0}, {"search": PRESETS["one-shot"]}):
        assert config_hash(replace(TrainConfig(), **same)) == base
    searched = preset("smart-grpo")
    hashes = {base, config_hash(searched), config_hash(replace(searched, search=PRESETS["one-shot"]))}
    hashes |= {config_hash(replace(TrainConfig(), **one)) for one in ({"seed": 1}, {"epochs": 3}, {"threads": 2})}
    assert len(hashes) == 6


def test_the_window_is_consecutive_and_never_the_last_step():
    sigmas = shifted(10)
    base = replace(TrainConfig(), num_steps=10, sde_window=2)
    found = windows(replace(base, window_min=0.3, window_max=0.8), sigmas)
    assert found == ((4, 5), (5, 6), (6, 7))
    assert windows(preset("flow-grpo-all-steps"), sigmas) == (tuple(range(9)),)
    with pytest.raises(ConfigError, match="got 1 between 0.3 and 0.5"):
        windows(replace(base, window_min=0.3, window_max=0.5), sigmas)


def test_clip_range_and_searched_members():
    assert TrainConfig().clip_for(65_536) == pytest.approx(1e-4) and TrainConfig().clip_for(1_024) == pytest.approx(
        8e-4
    )
    assert replace(TrainConfig(), clip_range=0.2).clip_for(1_024) == 0.2
    half = replace(preset("smart-grpo"), group_size=6, searched_fraction=0.5)
    assert half.searched_members == 3 and TrainConfig().searched_members == 0
    assert (
        replace(half, searched_fraction=0.25).searched_members == 2
        and replace(half, group_size=4).searched_members == 2
    )


def test_the_cost_of_an_epoch():
    sigmas = shifted(10)
    whole = {"num_steps": 10, "sde_window": 2, "share_start": False, "prompts_per_epoch": 8, "group_size": 6}
    whole |= {"updates_per_epoch": 2, "micro_batch": 24, "eval_steps": 20, "window_min": 0.55}
    config = replace(TrainConfig(), **whole)
    plain = forwards(config, sigmas, 1)
    assert (plain.rollout, plain.search, plain.update, plain.epoch) == (480, 0, 96, 576)
    searched = replace(config, noise_source="search", search=SearchConfig(), window_min=0.3, window_max=0.8)
    assert forwards(searched, sigmas, 2).search == 2 * 48 * 2 * 25
    assert forwards(replace(searched, search=PRESETS["random-elites"]), sigmas, 1).search == 0
    everywhere = replace(searched, sde_window=None, searched_fraction=0.5, kl_beta=0.1)
    found = forwards(everywhere, sigmas, 1)
    assert found.search == 24 * 4 * 25 and found.update == 48 * 9 * 2
    tried = replace(searched, noise_source="best_of_k", share_start=True)  # the way to the window is walked once
    # ... and the window's first step is computed once a group, for each of the five tries
    assert forwards(tried, sigmas, 1).rollout == 8 * 5 + 8 * 5 + 48 * 5 * 4
    assert forwards(config, sigmas, 1).evaluate == config.eval_prompts * 20 * 2
    assert [looks(10, every) for every in (0, 3, 5)] == [2, 5, 3]


def test_nothing_that_is_judged_is_trained():
    learned, judged = prompt_set("shapes-train"), prompt_set("shapes-train", "eval")
    card = {caption.text() for caption in evaluation_captions()}
    assert not set(learned) & (card | set(judged)) and len(learned) == 1_500 and len(judged) == 240
    assert all(parse_caption(prompt) is not None for prompt in learned + judged)
    assert {parse_caption(prompt).task for prompt in judged[:6]} == {  # type: ignore[union-attr]
        "single_object", "two_objects", "counting", "colors", "position", "color_attribution"
    }  # fmt: skip


def test_prompt_sets_by_name():
    assert prompt_set_names()[0] == "shapes-train" and "mixed" in prompt_set_names()
    train, judged = prompt_set("mixed"), prompt_set("mixed", "eval")
    assert not set(train) & set(judged) and len(train) == 3 * len(judged)
    few = ("a", "b")
    assert split_lines(few, "train") == split_lines(few, "eval") == few
    for name, split in (("nope", "train"), ("../x", "train"), ("mixed", "test")):
        with pytest.raises(ConfigError):
            prompt_set(name, split)


def test_settings_events_plan_and_prompts_need_no_torch():
    script = (
        "import core.train_config, core.train_events, core.train_plan, core.prompts, sys; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
