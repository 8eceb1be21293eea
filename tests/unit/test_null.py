"""The null theory against the search itself with elites that carry no signal."""

import math
import subprocess
import sys

import pytest
import torch

from app.settings import ROOT
from core.search import cem, diagnostics
from core.search.null import Blind, blind

SHAPE = (16, 256, 256)  # many elements, so that one run comes near its expectation even in fourth moments


def blind_run(num_candidates: int, num_elites: int, iterations: int, min_std: float = 0.0) -> list[dict[str, float]]:
    """The real ask and tell, keeping the first candidates by index: any choice that does not look is blind."""
    generator = torch.Generator().manual_seed(7)
    state, seen = cem.start(SHAPE), []
    for iteration in range(iterations + 1):
        noise = cem.ask(state, torch.randn(num_candidates, *SHAPE, generator=generator))
        seen.append(
            {
                "mean_norm": diagnostics.norms(state.search_mean)[0],
                "candidate_norm": diagnostics.norms(noise)[0],
                "cosine": diagnostics.mean_cosine(noise),
                "kurtosis": diagnostics.kurtosis(noise)[0],
                "std_median": diagnostics.std_quantiles(state.search_std)[2],
            }
        )
        if iteration < iterations:
            total = [0.0] * num_candidates
            state = cem.tell(state, noise, total, range(num_elites), min_std=min_std)
    return seen


@pytest.mark.parametrize(("candidates", "elites", "min_std"), [(5, 2, 0.0), (8, 3, 0.0), (25, 12, 0.0), (5, 2, 0.2)])
def test_theory_is_what_a_blind_search_does(candidates: int, elites: int, min_std: float) -> None:
    theory = blind((elites,) * 5, min_std)
    for iteration, seen in enumerate(blind_run(candidates, elites, 5, min_std)):
        for name, value in seen.items():
            if min_std and name == "kurtosis":
                assert math.isnan(theory.kurtosis[iteration])  # not worked out under a floor, so not told
                continue
            near = 0.06 if name == "kurtosis" else 0.025
            assert getattr(theory, name)[iteration] == pytest.approx(value, rel=near, abs=0.004), (name, iteration)


def test_the_papers_setting_by_hand() -> None:
    theory = blind((2,) * 5)
    assert theory.mean_norm == pytest.approx([math.sqrt(1 - 0.5**i) for i in range(6)])
    assert theory.mean_norm[1] == pytest.approx(0.707, abs=1e-3) and theory.mean_norm[5] == pytest.approx(
        0.984, abs=1e-3
    )
    assert theory.cosine[:4] == pytest.approx([0, 0.5, 0.75, 0.875])
    assert theory.kurtosis[:3] == pytest.approx([3, 4.5, 5.625])
    assert theory.candidate_norm == pytest.approx([1] * 6)
    assert blind((12,)).mean_norm[1] == pytest.approx(0.2887, abs=1e-4)  # one-shot: 1/sqrt(12)


def test_an_iteration_without_elites_changes_nothing_and_one_elite_ends_the_search() -> None:
    paused = blind((2, 0, 2))
    assert paused.mean_norm[1] == paused.mean_norm[2] and paused.cosine[1] == paused.cosine[2]
    single = blind((1, 1))
    assert single.mean_norm == pytest.approx([0, 1, 1])
    assert single.std_median == (pytest.approx(1), 0, 0)
    assert single.cosine == pytest.approx([0, 1, 1])


def test_nothing_searched_is_the_start() -> None:
    assert blind(()) == Blind((0.0,), (1.0,), (0.0,), (3.0,), (1.0,))


@pytest.mark.parametrize(("counts", "floor"), [((-1,), 0.0), ((2,), -0.1), ((2,), math.nan)])
def test_nonsense_is_refused(counts: tuple[int, ...], floor: float) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        blind(counts, floor)


def test_the_theory_needs_no_torch() -> None:
    code = "import core.search.null, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120).returncode == 0
