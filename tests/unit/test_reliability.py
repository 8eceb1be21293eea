import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from core.reliability import analyse, kendall, recommended, selection_intensity, spearman, window


def correlated(rng: np.random.Generator, rho: float, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal pairs whose correlation is rho."""
    truth = rng.normal(size=shape)
    return rho * truth + np.sqrt(1 - rho**2) * rng.normal(size=shape), truth


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=12))
def test_rank_correlations_agree_with_scipy_ties_included(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, dtype=float).T
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert np.isnan(spearman(a, b))
        return
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-12)


@pytest.mark.parametrize(("count", "top", "value"), [(5, 1, 1.16296), (5, 2, 0.82899), (2, 1, 0.56419), (7, 7, 0.0)])
def test_selection_intensity_is_the_mean_of_the_largest_normals(count: int, top: int, value: float) -> None:
    assert selection_intensity(count, top) == pytest.approx(value, abs=1e-5)


def test_selection_intensity_agrees_with_a_simulation() -> None:
    drawn = np.sort(np.random.default_rng(0).normal(size=(200_000, 25)), axis=1)
    assert selection_intensity(25, 12) == pytest.approx(drawn[:, -12:].mean(), abs=2e-3)


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.4, 0.9])
def test_a_known_correlation_is_found_inside_its_interval(rho: float) -> None:
    proxy, truth = correlated(np.random.default_rng(1), rho, (600, 16, 1))
    found = analyse(proxy, truth).timesteps[0]
    expected = 6 / np.pi * np.arcsin(rho / 2)  # Spearman of a normal pair
    assert found.spearman_low - 0.03 <= expected <= found.spearman_high + 0.03  # 16 siblings bias the median a little
    assert found.spearman_low <= found.spearman_median <= found.spearman_high
    assert found.pearson_mean == pytest.approx(rho, abs=0.03)
    assert found.truth_std == pytest.approx(1.0, abs=0.05)
    assert found.expected_gain == pytest.approx(selection_intensity(16, 2) * rho, abs=0.06)
    assert found.null_low < 0 < found.null_high
    assert found.slope == pytest.approx(rho, abs=0.05)


def test_the_expected_gain_is_what_the_elites_gain() -> None:
    proxy, truth = correlated(np.random.default_rng(2), 0.6, (4000, 5, 1))
    elites = np.argsort(-proxy[:, :, 0], axis=1)[:, :2]
    gained = (np.take_along_axis(truth[:, :, 0], elites, axis=1).mean(axis=1) - truth[:, :, 0].mean(axis=1)).mean()
    # Within five siblings r and sigma_R are estimated with little data, so their product is a few percent short.
    assert analyse(proxy, truth).timesteps[0].expected_gain == pytest.approx(gained, rel=0.12)


def test_a_perfect_proxy_always_hits_and_a_reversed_one_never() -> None:
    truth = np.random.default_rng(3).normal(size=(6, 8, 2))
    perfect = analyse(truth * 3 + 1, truth).timesteps[0]
    assert (perfect.spearman_median, perfect.kendall_median) == pytest.approx((1, 1))
    assert (perfect.top1, perfect.elite_recall) == (1, 1)
    assert perfect.selection_efficiency == 1
    assert perfect.regret == 0
    reversed_ = analyse(-truth, truth).timesteps[1]
    assert (reversed_.spearman_median, reversed_.top1, reversed_.elite_recall) == pytest.approx((-1, 0, 0))
    assert reversed_.selection_efficiency < 0


def test_bias_and_slope_are_those_of_a_line() -> None:
    truth = np.random.default_rng(4).normal(size=(5, 6, 1))
    found = analyse(2 * truth + 0.5, truth).timesteps[0]
    assert found.slope == pytest.approx(0.5)
    assert found.bias == pytest.approx(truth.mean() + 0.5)


def test_prompts_of_different_level_do_not_make_a_correlation() -> None:
    rng = np.random.default_rng(5)
    level = rng.normal(size=(300, 1, 1)) * 10
    found = analyse(level + rng.normal(size=(300, 8, 1)), level + rng.normal(size=(300, 8, 1))).timesteps[0]
    assert abs(found.spearman_median) < 0.08
    assert abs(found.slope) < 0.08


def test_nan_leaves_out_its_pair_and_constant_rows_are_counted() -> None:
    truth = np.arange(24, dtype=float).reshape(3, 8, 1)
    proxy = truth.copy()
    proxy[0, 7, 0] = np.nan
    proxy[1] = 2.0
    found = analyse(proxy, truth).timesteps[0]
    assert (found.missing, found.constant_rows, found.rows) == (1, 1, 3)
    assert found.spearman_median == pytest.approx(1)
    empty = analyse(np.full((2, 3, 1), np.nan), np.zeros((2, 3, 1)))
    assert empty.timesteps[0].rows == 0
    assert empty.to_json()["timesteps"][0]["spearman_median"] is None


def test_two_siblings_are_enough_for_a_sign() -> None:
    found = analyse(np.array([[[0.1], [0.2]]]), np.array([[[1.0], [3.0]]]), num_elites=1).timesteps[0]
    assert (found.spearman_median, found.top1) == pytest.approx((1, 1))


def test_equal_proxies_are_a_fair_pick() -> None:
    truth = np.tile(np.array([3.0, 2.0, 1.0, 0.0])[None, :, None], (50, 1, 1))
    found = analyse(np.zeros_like(truth), truth, num_elites=1).timesteps[0]
    assert found.top1 == pytest.approx(0.25, abs=0.02)
    assert found.selection_efficiency == pytest.approx(0.0, abs=0.03)


def test_drawing_fewer_candidates_makes_the_best_easier_to_hit() -> None:
    proxy, truth = correlated(np.random.default_rng(6), 0.5, (60, 24, 1))
    hits = [analyse(proxy, truth, draw=k).timesteps[0].top1 for k in (2, 5, 12, 24)]
    assert hits == sorted(hits, reverse=True)
    # Of two, the better one is preferred with probability 1/2 + arcsin(rho) / pi.
    assert hits[0] == pytest.approx(0.5 + np.arcsin(0.5) / np.pi, abs=0.03)


def test_one_truth_a_trajectory_is_another_quantity_and_says_so() -> None:
    proxy = np.random.default_rng(7).normal(size=(3, 5, 4))
    found = analyse(proxy, proxy[:, :, -1], sigmas=[0.9, 0.5, 0.2, 0.0])
    assert found.quantity == "between seeds"
    assert [one.sigma for one in found.timesteps] == [0.9, 0.5, 0.2, 0.0]
    assert found.timesteps[-1].spearman_median == pytest.approx(1)
    assert analyse(proxy, proxy).quantity == "within siblings"


def test_rows_of_one_prompt_are_drawn_together() -> None:
    proxy, truth = correlated(np.random.default_rng(8), 0.5, (40, 6, 1))
    alone = analyse(proxy, truth).timesteps[0]
    # The same five rows eight times over say no more than once, where they are known to be five prompts.
    five = analyse(proxy[:5], truth[:5]).timesteps[0]
    many = analyse(np.tile(proxy[:5], (8, 1, 1)), np.tile(truth[:5], (8, 1, 1)), prompts=[0, 1, 2, 3, 4] * 8)
    taken = many.timesteps[0]
    assert (taken.spearman_low, taken.spearman_high) == (five.spearman_low, five.spearman_high)
    assert alone.spearman_high - alone.spearman_low < five.spearman_high - five.spearman_low
    together = analyse(proxy, truth, prompts=[0, 1, 2, 3] * 10).timesteps[0]
    assert together.spearman_median == alone.spearman_median
    assert np.isnan(together.spearman_low), "four prompts tell no interval, however many rows they have"


def test_the_same_seed_gives_the_same_figures() -> None:
    proxy, truth = correlated(np.random.default_rng(9), 0.3, (10, 8, 2))
    assert analyse(proxy, truth, draw=4, seed=3) == analyse(proxy, truth, draw=4, seed=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 3)), np.zeros((2, 3))), "shape"),
        ((np.zeros((2, 3, 4)), np.zeros((2, 4))), "truth"),
        ((np.zeros((2, 1, 4)), np.zeros((2, 1, 4))), "K at least 2"),
    ],
)
def test_wrong_shapes_are_told(arguments: tuple[np.ndarray, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        analyse(*arguments)


@pytest.mark.parametrize("wrong", [{"sigmas": [0.1]}, {"num_elites": 0}, {"draw": 9}, {"draw": 1}, {"prompts": [0]}])
def test_wrong_settings_are_told(wrong: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        analyse(np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), **wrong)


def test_a_window_is_recommended_where_rank_and_gain_and_the_held_out_reward_agree() -> None:
    rng = np.random.default_rng(10)
    truth = rng.normal(size=(80, 12, 6)) * np.array([0.1, 1.0, 1.0, 0.9, 0.1, 0.1])
    held_out = truth + rng.normal(size=truth.shape) * 0.2
    held_out[:, :, 3] = -truth[:, :, 3]  # there the proxy is gamed
    proxy = truth + rng.normal(size=truth.shape) * np.array([9.0, 1.0, 0.3, 0.3, 0.3, 9.0])
    sigmas = [0.95, 0.8, 0.6, 0.5, 0.3, 0.1]
    both = (analyse(proxy, truth, sigmas=sigmas), analyse(proxy, held_out, sigmas=sigmas))
    assert recommended(*both) == (False, True, True, False, False, False)
    assert window(*both) == (0.6, 0.8)
    noise = rng.normal(size=truth.shape)
    assert window(analyse(noise, truth, sigmas=sigmas), both[1]) is None
