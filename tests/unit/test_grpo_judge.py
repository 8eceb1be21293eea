"""The judge: paired gains with intervals over captions, of an adapter from its folder."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import ModelError
from core.grpo import checkpoint, judge
from core.grpo.policy import Policy
from core.prompts import SHAPES_TRAIN, prompt_set
from core.shapes.scenes import TASKS, evaluation_captions
from core.train_config import TrainConfig, to_dict
from tests import tiny

CAPTIONS = evaluation_captions(60)


def test_the_interval_is_over_captions_not_over_rows():
    caption = CAPTIONS[0]
    mean, low, high = judge.interval(np.array([[1.0, 0.0], [0.0, 1.0]]), [caption, caption])
    assert (mean, low, high) == (0.5, 0.5, 0.5)  # one caption: drawing it again changes nothing
    gains = np.random.default_rng(0).normal(0.3, 1.0, (60, 2))
    different = list({one.text(): one for one in evaluation_captions(400)}.values())[:60]
    mean, low, high = judge.interval(gains, different)
    assert mean == pytest.approx(gains.mean())
    assert high - low == pytest.approx(2 * 1.96 * gains.mean(1).std() / 60**0.5, rel=0.1)


def test_gains_are_paired_and_told_by_task():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2, (60, 2, 2)).astype(float)
    found = judge.compared(base, base + 0.25, CAPTIONS)
    assert set(found["strict"]) == {"overall", *TASKS}
    assert found["partial"]["overall"]["gain"] == [0.25, 0.25, 0.25]
    assert found["strict"]["counting"]["trained"] == pytest.approx(found["strict"]["counting"]["base"] + 0.25)


def _state(config: TrainConfig, model: Any, size: float) -> dict[str, Any]:
    policy = Policy(config, model)
    weights = {name: one + size for name, one in policy.weights().items()}
    plain: dict[str, Any] = {"adapter": policy.description(), "config": to_dict(config), "lora": weights, "moments": {}}
    plain["ema"] = policy.average
    policy.remove()
    return plain


def test_an_adapter_is_judged_against_the_model_without_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(judge, "load_model", lambda name: tiny.sd3_model())
    monkeypatch.setattr(judge, "STEPS", 2)
    config = TrainConfig(lora_rank=2, lora_alpha=4.0, guidance_scale=1.0)
    checkpoint.save(_state(config, tiny.sd3_model(), 0.3), tmp_path)
    averaged = judge.judge(tmp_path, count=6)
    assert averaged["guidance_scale"] == 1.0 and averaged["adapter"].endswith("ema")
    assert averaged["partial"]["overall"]["gain"] == [0, 0, 0]  # its average is still the beginning
    raw = judge.judge(tmp_path, raw=True, count=6, guidance_scale=2.0)
    assert raw["base_guidance_scale"] == 2.0 and raw["adapter"] == str(tmp_path)
    monkeypatch.setattr("sys.argv", ["judge", str(tmp_path), "--json", "--captions", "6"])
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    judge.main()
    assert json.loads(capsys.readouterr().out) == averaged
    monkeypatch.setattr("sys.argv", ["judge", str(tmp_path), "--captions", "6"])
    judge.main()
    assert "strict   overall" in capsys.readouterr().out


def test_a_folder_without_an_adapter_is_refused(tmp_path):
    with pytest.raises(ModelError, match="expected pytorch_lora_weights.safetensors in"):
        judge.judge(tmp_path)


def test_a_fresh_draw_has_the_same_shares_and_nothing_that_was_trained_on():
    """Another draw of the captions is what settings that were chosen on the usual ones are to be judged by."""
    usual, fresh = judge.captions_of(120), judge.captions_of(120, fresh=101)
    trained = set(prompt_set(SHAPES_TRAIN))
    assert usual == evaluation_captions(120)
    assert [one.task for one in fresh] == [one.task for one in usual]
    assert not trained & {one.text() for one in fresh}
    texts = [{one.text() for one in draw if one.task == "position"} for draw in (usual, fresh)]
    assert len(texts[1] - texts[0]) > len(texts[1]) / 2  # of positions the world has enough


def test_a_fresh_draw_starts_from_other_noise():
    model = tiny.sd3_model()
    starts = []
    model.velocity = lambda latents, sigma, told: starts.append(latents.clone()) or torch.zeros_like(latents)
    for fresh in (None, 101, 102):
        judge.verdicts(model, CAPTIONS[:1], 1.0, steps=1, fresh=fresh)
    assert not any(torch.equal(one, other) for one in starts for other in starts if one is not other)
