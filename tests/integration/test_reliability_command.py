import json
from pathlib import Path

import numpy as np
import pytest

from app.__main__ import main

KEYS = {
    "sigma",
    "spearman_median",
    "spearman_low",
    "spearman_high",
    "kendall_median",
    "top1",
    "elite_recall",
    "selection_efficiency",
    "truth_std",
    "expected_gain",
    "bias",
}


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    truth = np.random.default_rng(0).normal(size=(6, 8, 3))
    proxy = truth + np.array([10.0, 1.0, 0.0]) * np.random.default_rng(1).normal(size=(6, 8, 3))
    proxy[0, 0, 0] = np.nan
    path = tmp_path / "rewards.npz"
    np.savez(path, proxy=proxy, truth=truth, sigmas=[0.9, 0.5, 0.1])
    return path


def test_arrays_from_elsewhere_are_analysed(arrays: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reliability", "--from-array", str(arrays), "--json", "--draw", "5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["sigma"] for one in found["timesteps"]] == [0.9, 0.5, 0.1]
    assert set(found["timesteps"][0]) >= KEYS
    assert found["timesteps"][2]["spearman_median"] == pytest.approx(1)
    assert found["timesteps"][2]["top1"] == 1


def test_without_json_it_is_a_table(arrays: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reliability", "--from-array", str(arrays)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "within siblings"
    assert len(lines) == 5
    assert "1.000" in lines[-1]


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 but broken"])
def test_a_file_that_is_no_archive_is_told(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    assert main(["reliability", "--from-array", str(path)]) == 2
    assert "expected an .npz file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arrays",
    [
        {"proxy": np.zeros((2, 3, 1))},
        {"proxy": np.zeros((2, 3, 1)), "truth": np.zeros((5, 3))},
        {"proxy": np.array([["a"]]), "truth": np.zeros(1)},
        {"proxy": np.array([{}], dtype=object), "truth": np.zeros(1)},
    ],
)
def test_arrays_that_do_not_fit_are_told(
    arrays: dict[str, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.npz"
    np.savez(path, **arrays)
    assert main(["reliability", "--from-array", str(path)]) == 2
    assert "expected" in capsys.readouterr().err
