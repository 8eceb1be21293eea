"""What is said of a session's numbers, and where nothing is said."""

import re

import pytest

from app import sentences
from tests.unit.session_views import iteration, taken, view


def test_an_iteration_in_plain_words() -> None:
    first = iteration(5, 0, [0.5, 0.52, 0.54], [2])
    third = iteration(5, 2, [0.62, 0.64, 0.66], [2])
    assert sentences.iteration_sentence(first) == "Iteration 1: candidates 0% alike, spread .60, mean reward .52."
    assert (
        sentences.iteration_sentence(third, first)
        == "Iteration 3: candidates 75% alike, spread .15, mean reward +.12 since iteration 1."
    )


def test_a_reward_that_fell_or_stood_still() -> None:
    first = iteration(0, 0, [0.5, 0.5], [0])
    fell, stood = iteration(0, 1, [0.2, 0.2], [0]), iteration(0, 1, [0.5, 0.5], [0])
    assert "mean reward \u2212.30 since iteration 1" in (sentences.iteration_sentence(fell, first) or "")
    assert "mean reward unchanged since iteration 1" in (sentences.iteration_sentence(stood, first) or "")


def test_silent_where_it_cannot_tell() -> None:
    lost = iteration(0, 1, [None, None], [], cosine=None, std_quantiles=[None] * 5)
    assert sentences.iteration_sentence(lost, iteration(0, 0, [0.5, 0.6], [1])) is None
    single = iteration(0, 0, [0.5], [0], cosine=None)
    assert sentences.iteration_sentence(single) == "Iteration 1: spread .60, mean reward .50."
    after_nothing = sentences.iteration_sentence(iteration(0, 1, [0.5, 0.7], [1]), iteration(0, 0, [None, None], []))
    assert after_nothing == "Iteration 2: candidates 50% alike, spread .30, mean reward .60."


def test_a_step_beside_a_blind_search() -> None:
    shown = view()
    told = sentences.step_sentence(shown["config"], shown["iterations"], taken(1, 0.7))
    assert told == (
        "Step 2, 3 iterations: the mean reward went from .30 to .60; the candidates became 75% alike, as a blind "
        "search's would; the noise that was used has .98 of a real noise's size."
    )
    unlike = [*shown["iterations"][:2], shown["iterations"][2] | {"cosine": 0.2}]
    assert "20% alike, a blind search's would be 75%" in (sentences.step_sentence(shown["config"], unlike) or "")


def test_a_step_that_was_not_searched_has_no_sentence() -> None:
    assert sentences.step_sentence(view()["config"], [], taken(0, 0.1)) is None


def test_the_starting_noise_is_named() -> None:
    rows = [iteration(-1, 0, [0.5, 0.6], [1]), iteration(-1, 1, [0.6, 0.7], [1])]
    assert (sentences.step_sentence(view()["config"], rows) or "").startswith("Starting noise, 2 iterations: the mean")


def test_another_algorithm_has_no_null_theory() -> None:
    shown = view()
    shown["config"]["search"]["algorithm"] = "mine"
    assert sentences.blind_of(shown["config"], shown["iterations"]) is None
    assert "blind" not in (sentences.step_sentence(shown["config"], shown["iterations"]) or "")


def test_the_theory_counts_what_was_really_kept() -> None:
    shown = view()
    shown["iterations"][0]["elites"] = [0, 1, 2, 3]  # a person kept four, so that mu is an average of four
    theory = sentences.blind_of(shown["config"], shown["iterations"])
    assert theory and theory.mean_norm[1] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.5, ".50"),
        (-0.12, "\u2212.12"),
        (0.0, ".00"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (1234.5, "1234"),
        (0.004, ".004"),
    ],
)
def test_numbers_are_short(value: float, told: str) -> None:
    assert sentences.short(value) == told


def test_titles_say_what_is_seen() -> None:
    shown = view()
    assert sentences.trail_title(shown) == "Noise search ends at .80, above 1 of 3 others"
    assert sentences.trail_title(view(arms=[])) == "Reward of the guess after each step"
    assert sentences.noise_title(shown, 1) == "Step 2 adds .50 and leaves .20 more noise than expected next"
    assert re.fullmatch(
        r"The search took [\d,]+ evaluations, [\d,]+ pictures, [\d.]+ s",
        sentences.cost_title(sentences.spending(shown)),
    )
    assert sentences.reward_title([0.3, None], "Reward") == "Reward by iteration"
    assert sentences.reward_title([0.5, 0.5], "Reward") == "Reward: the mean did not move in 2 iterations"


def test_a_blind_session_is_not_called_a_search() -> None:
    config = view()["config"]
    config["search"]["selection"] = "random"
    assert sentences.arm_name(config, "search") == "This session"


def test_spending_is_in_order_and_leaves_out_what_has_no_cost() -> None:
    shown = view()
    del shown["steps"][3]["seconds"]
    places = [(row["step"], row.get("iteration")) for row in sentences.spending(shown)]
    assert places == [(0, None), (1, 0), (1, 1), (1, 2), (1, None), (2, None)]
