"""What a search costs, and the same search confined to a window for the same cost."""

import struct
from dataclasses import replace

import pytest

from core.config import PRESETS, ExploreConfig, preset_session, problems_of
from core.errors import ConfigError
from core.plan import batch_notes, gated, search_nfe
from core.schedule import in_window, shifted

SIGMAS = shifted(10)
USUAL = ExploreConfig("a photo of a star", search=PRESETS["smart-grpo-sde"])


@pytest.mark.parametrize("window", [(SIGMAS[6], SIGMAS[4]), (SIGMAS[5], SIGMAS[5]), (0.3, 0.9)])
def test_a_gated_search_spends_as_much_as_fits_and_no_more(window: tuple[float, float]) -> None:
    budget = search_nfe(USUAL, SIGMAS, 2)
    found = gated(USUAL, window, SIGMAS, 2)
    assert found.search.preset == "smart-grpo-gated"
    assert not problems_of(found)
    spent = search_nfe(found, SIGMAS, 2)
    steps = sum(in_window(SIGMAS, *window))
    assert budget - 2 * steps * found.search.num_iterations < spent <= budget


def test_a_narrower_window_buys_more_candidates() -> None:
    assert gated(USUAL, (SIGMAS[6], SIGMAS[6]), SIGMAS, 2).search.num_candidates == 4 * USUAL.search.num_candidates


def test_a_batch_that_memory_made_smaller_is_told() -> None:
    assert batch_notes(5, USUAL) == batch_notes(32, USUAL) == []
    assert "memory for 2 of 5 candidates" in batch_notes(2, USUAL)[0] and "within tolerance" in batch_notes(2, USUAL)[0]
    assert batch_notes(2, replace(USUAL, batch_size=2)) == []


def test_a_window_without_a_step_is_told() -> None:
    with pytest.raises(ConfigError, match="holds a timestep"):
        gated(USUAL, (0.61, 0.62), SIGMAS, 2)


def test_a_window_too_wide_for_the_cost_is_told() -> None:
    with pytest.raises(ConfigError, match="narrow enough"):
        gated(USUAL, (0.1, 1.0), SIGMAS, 2)


def test_a_window_holds_the_level_that_a_scheduler_rounds() -> None:
    exact = shifted(10)
    rounded = tuple(struct.unpack("f", struct.pack("f", sigma))[0] for sigma in exact)
    assert rounded != exact
    assert in_window(exact, rounded[7], rounded[4]) == in_window(rounded, exact[7], exact[4])
    assert sum(in_window(exact, rounded[7], rounded[4])) == 4


def test_the_gated_preset_costs_what_searching_everywhere_costs() -> None:
    usual = replace(USUAL, window_min=0.0, window_max=1.0)
    preset = replace(USUAL, search=PRESETS["smart-grpo-gated"], **preset_session("smart-grpo-gated"))
    assert preset.search == gated(usual, (0.46, 0.8), shifted(10), 2).search
    assert search_nfe(preset, shifted(10), 2) <= search_nfe(usual, shifted(10), 2)
