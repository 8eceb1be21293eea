"""The form and a config are two sides of one thing; whatever is sent as a form comes out as a config or a sentence."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from app.reuse import usual
from app.ui import form
from app.weights import read_weights, write_weights
from core.config import ARMS, FIELD_HELP, PRESETS, ExploreConfig, SearchConfig, from_dict, preset_session, to_dict
from core.errors import ConfigError
from tests.unit.test_reuse import configs, names

OWN_FORM = {"rewards", "search"}


def test_every_setting_is_in_the_form_with_help() -> None:
    settings = {one.name for one in fields(ExploreConfig)} - OWN_FORM
    settings |= {f"search.{one.name}" for one in fields(SearchConfig)} - {"search.preset"}
    assert settings <= set(form.NAMES)
    assert all(field.help for field in form.FIELDS)
    assert form.BY_NAME["search_initial"].kind == "flag"
    assert FIELD_HELP.keys() - {"rewards", "search.preset"} <= set(form.NAMES)


@tries(deadline=None)
@given(configs())
def test_a_form_filled_from_a_config_asks_for_that_config(config: ExploreConfig) -> None:
    """Arms come in their usual order, whatever the order they were asked for in."""
    ordered = replace(config, arms=tuple(arm for arm in ARMS if arm in config.arms))
    assert from_dict(form.to_config(form.from_config(to_dict(config)))) == ordered


@given(st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), max_size=8))
def test_weights_read_back(rewards: dict[str, float]) -> None:
    assert read_weights(write_weights(rewards)) == rewards
    assert list(read_weights(write_weights(rewards))) == list(rewards)


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("", {}),
        ("shapes-clip", {"shapes-clip": 1.0}),
        (" shapes-clip 2 , jpeg .5\n", {"shapes-clip": 2.0, "jpeg": 0.5}),
        ("a=1;b = -2e-1\nc", {"a": 1.0, "b": -0.2, "c": 1.0}),
        ('"odd, name" 3, "a\\"b"', {"odd, name": 3.0, 'a"b': 1.0}),
        ("clip-vit-large 1.", {"clip-vit-large": 1.0}),
    ],
)
def test_weights_as_people_write_them(text: str, weights: dict[str, float]) -> None:
    assert read_weights(text) == weights


@pytest.mark.parametrize(
    "text", ["a 1 b", "a 1 2", ", a", "a,,b", "a nan", "= 3", '"open', '"\\x" 1', "a 1, a 2", "x" * 5000]
)
def test_weights_that_cannot_be_read_are_told(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_weights(text)
    assert refused.value.problems.keys() == {"weights"} and len(str(refused.value)) < 300


@given(st.text(max_size=200))
def test_any_text_is_read_or_told(text: str) -> None:
    try:
        read_weights(text)
    except ConfigError as error:
        assert "expected" in str(error)


def test_a_weighted_sum_keeps_its_weights() -> None:
    rewards = {"shapes-clip": 1.0, "jpeg-compressibility": 0.5, "shapes-verifier": 0.0}
    filled = form.from_config(to_dict(replace(ExploreConfig("x"), rewards=rewards)))
    assert filled["reward"] == "shapes-clip" and filled["watched"] == ["shapes-verifier"]
    assert filled["weights"] == "shapes-clip 1, jpeg-compressibility 0.5"
    assert form.to_config(filled)["rewards"] == rewards
    alone = form.from_config(to_dict(ExploreConfig("x")))
    assert alone["weights"] == ""
    double = form.from_config(to_dict(replace(ExploreConfig("x"), rewards={"shapes-clip": 2.0})))
    assert form.to_config(double)["rewards"] == {"shapes-clip": 2.0}


def test_a_degraded_reward_is_one_of_several_and_survives_the_form() -> None:
    config = replace(ExploreConfig("a photo of a red circle"), rewards={"shapes-clip~0.6": 1.0, "shapes-clip": 0.0})
    values = form.from_config(to_dict(config))
    assert (values["reward"], values["weights"]) == ("shapes-clip", "shapes-clip~0.6 1")
    assert from_dict(form.to_config(values)) == config


def test_a_preset_brings_its_settings_and_a_change_is_named() -> None:
    values = form.defaults() | form.preset_values("initial-noise") | {"preset": "initial-noise"}
    made = from_dict(form.to_config(values))
    assert made == usual("initial-noise", form.EXAMPLES[0])
    assert made.search_initial and preset_session("initial-noise")["search_initial"]
    assert form.to_config(values | {"search.num_candidates": 7})["search"]["preset"] == "initial-noise, changed"
    assert form.preset_values("nothing") == {}


NASTY = [1e9, "5", float("nan"), True, "x" * 1_000_000, "\0", "\ud800", [1, [2]], {"a": {"b": []}}, None, -1, 10**400]
NASTY += [[[[[[[]]]]]] * 1000, {str(number): number for number in range(100_000)}]


@pytest.mark.parametrize(
    "value", NASTY, ids=lambda value: f"{type(value).__name__} {value!r:.12}".encode("ascii", "replace")
)
@pytest.mark.parametrize("name", form.NAMES)
def test_any_value_in_any_field_is_a_config_or_a_sentence(name: str, value: Any) -> None:
    """Told in the form's own words, shortly, whatever came."""
    try:
        made = from_dict(form.to_config(form.defaults() | {name: value}))
    except ConfigError as error:
        told = form.explain(error.problems)
        assert told and all(one["text"] and len(one["text"]) < 400 for one in told)
        assert [one["field"] for one in told if one["field"]], told
        "".join(one["text"] for one in told).encode()
    else:
        assert made.search.preset.removesuffix(", changed") in PRESETS


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("name", form.NAMES)
def test_a_deep_value_is_told_and_not_walked_through(name: str) -> None:
    with pytest.raises(ConfigError):
        from_dict(form.to_config(form.defaults() | {name: deep(50_000)}))
