"""A number is one setting however it was written, and settings keep the digest that records were stored with."""

from typing import Any

import pytest

from core import config as searches
from core import measure_config as measures
from core import train_config as tunes
from core.errors import ConfigError
from storage.reliability import config_hash as digest_of_measure

PROMPT = "a photo of a red circle"
# As records were stored before 0 and 0.0 became one.
STORED = {
    "smart-grpo": "95c587f16200307e",
    "smart-grpo-gated": "6afc7c80a855e554",
    "one-shot-on-shell": "d1cb22fefa1f3c36",
    "initial-noise": "caf4b180a63d5628",
    "no-search": "87a4e7fa210329fb",
}
STORED_TUNES = {
    "flow-grpo": "210b8be340f2e3b1",
    "smart-grpo-half": "a0ed6d560656e1d4",
    "sd3.5-flow-grpo": "0f90721b8b69e623",
}


def as_a_page_sends(plain: Any) -> Any:
    """JavaScript has one kind of number: 1.0 arrives as 1."""
    if isinstance(plain, dict):
        return {name: as_a_page_sends(value) for name, value in plain.items()}
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


@pytest.mark.parametrize("preset", STORED)
def test_a_search_has_the_digest_it_was_stored_with_from_a_page_and_from_the_command_line(preset: str) -> None:
    config = searches.ExploreConfig(PROMPT, search=searches.PRESETS[preset], **searches.preset_session(preset))
    plain = searches.to_dict(config)
    sent = searches.from_dict(as_a_page_sends(plain))
    assert type(as_a_page_sends(plain)["search"]["min_std"]) is int
    assert searches.config_hash(config) == searches.config_hash(sent) == STORED[preset]
    assert type(sent.search.min_std) is float and type(sent.rewards["shapes-verifier"]) is float
    assert type(sent.seed) is int and type(sent.search.num_candidates) is int


@pytest.mark.parametrize("preset", STORED_TUNES)
def test_a_fine_tune_has_the_digest_it_was_stored_with_from_either(preset: str) -> None:
    config = tunes.preset(preset)
    sent = tunes.from_dict(as_a_page_sends(tunes.to_dict(config)))
    assert tunes.config_hash(config) == tunes.config_hash(sent) == STORED_TUNES[preset]
    assert type(tunes.from_dict({"max_seconds": 60}).max_seconds) is float


def test_a_measurement_too() -> None:
    plain = measures.to_dict(measures.MeasureConfig((PROMPT,)))
    sent = measures.to_dict(measures.from_dict(as_a_page_sends(plain)))
    assert digest_of_measure(plain) == digest_of_measure(sent) == "96339fa2ca611789"


@pytest.mark.parametrize("wrong", [True, 10**400, "1", None])
def test_what_is_no_number_is_refused_as_before(wrong: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        searches.from_dict({"prompt": PROMPT, "guidance_scale": wrong})
    assert caught.value.problems["guidance_scale"].startswith("expected a number from 0 to 30")
