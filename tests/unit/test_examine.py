"""`doctor --model --reward`: what is there, what is missing and how to get it, memory and time, in lines."""

from pathlib import Path

import pytest

from app.__main__ import main
from app.examine import Machine, examine
from core.ceiling import matrix_product_rate
from core.errors import ConfigError
from core.models.folders import describe
from core.models.registry import MODELS, locate_model


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))


def machine(device: str = "cuda", free: int = 80 * 10**9, seconds: float | None = None) -> Machine:
    half = "float32" if device == "cpu" else "bfloat16"
    return Machine(device, free, lambda dtype: 6e14, lambda spec: half, lambda name: seconds)  # type: ignore[arg-type]


def told(model: str, *rewards: str, on: Machine) -> tuple[dict[str, str], bool]:
    lines, fine = examine(model, rewards, on)
    return {line[:10].strip(): line[11:] for line in lines if line[:10].strip()}, fine


def test_a_model_that_is_not_here_says_how_to_get_it() -> None:
    found, fine = told("sd3.5-medium", on=machine())
    assert not fine
    assert found["model"] == "Stable Diffusion 3.5 Medium (stabilityai/stable-diffusion-3.5-medium)"
    assert found["here"] == "no: the weights are not on this machine"
    assert found["to get it"] == (
        "`python -m app download stabilityai/stable-diffusion-3.5-medium --accept-licence`, about 16.3 GB"
    )
    page = "https://huggingface.co/stabilityai/stable-diffusion-3.5-medium"
    assert found["licence"].startswith("Stability AI Community License") and page in found["licence"]
    assert found["memory"].startswith(
        "16.7 GB of 80.0 GB on cuda, in bfloat16 (transformer 4.9 GB, text encoders 11.2 GB"
    )
    assert found["search"].startswith("720 velocity evaluations by default, 220 of them the search")
    # 720 evaluations of 2.443 TFLOP each, over 600 TFLOP/s.
    assert found["time"].startswith("2.9 s at the very least: 1,759.0 TFLOP at the 6e+02 TFLOP/s that bfloat16")


def test_what_does_not_fit_is_told_with_figures() -> None:
    small, _ = told("sd3.5-medium", on=machine(free=14 * 10**9))
    assert small["memory"].endswith("text encoders and transformer take turns")
    cpu, _ = told("sd3.5-medium", on=machine("cpu", free=16 * 10**9))
    assert "does not fit: it needs 33.3 GB in float32" in cpu["memory"] and "cpu has 15.2 GB" in cpu["memory"]
    beside, fine = told("shapes-sd3", "shapes-clip", on=machine("cpu"))
    assert fine and beside["memory"].startswith("31 MB of 80.0 GB on cpu, in float32")
    crowded, _ = examine("shapes-sd3", ("pickscore",), machine("cpu", free=3_950_000_000))
    assert any("Shapes (embedded) does not fit" in line and "cpu has 5 MB to give" in line for line in crowded)


def test_measured_sessions_come_before_estimates() -> None:
    found, _ = told("shapes-sd3", on=machine("cpu", seconds=0.01))
    assert found["time"] == "about 7.2 s, as its sessions took here"


def test_rewards_are_told_with_what_they_miss() -> None:
    found, fine = told("shapes-sd3", "imagereward", on=machine("cpu"))
    assert not fine and found["reward"].startswith("ImageReward (learned) (imagereward): ")
    assert found["to get it"] == "`python -m app download imagereward`, about 1.8 GB"
    assert found["licence"] == "Apache-2.0" and found["memory"] == "1.8 GB of weights in float32"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of the models"):
        examine("nosuch", (), machine())
    with pytest.raises(ConfigError, match="expected one of the rewards"):
        examine("shapes-sd3", ("nosuch",), machine())


def test_what_is_known_of_the_embedded_model_is_so() -> None:
    folder, _ = locate_model(MODELS["shapes-sd3"])
    assert folder is not None
    counted, known = describe(folder), MODELS["shapes-sd3"]
    assert (counted.transformer_weights, counted.transformer_width) == (
        known.transformer_weights,
        known.transformer_width,
    )
    assert (counted.text_weights, counted.vae_weights) == (known.text_weights, known.vae_weights)


def test_the_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--model", "shapes-sd3", "--reward", "shapes-clip", "--reward", "jpeg-compressibility"]
    assert main(["doctor", *flags, "--data-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("device ") and lines[-1] == "ready      yes"
    assert sum(line.startswith("reward ") for line in lines) == 2
    assert not (tmp_path / "lab.sqlite").exists()
    assert main(["doctor", "--model", "nosuch", "--data-dir", str(tmp_path)]) == 2


def test_matrix_products_have_a_rate() -> None:
    assert 1e8 < matrix_product_rate("cpu", "float32", size=128, seconds=0.02) < 1e14
