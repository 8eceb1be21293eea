"""Page Train over the real worker, trainer and model: a fine-tune from click to LoRA.

The smallest run there can be; most of its time goes into starting a process that loads torch and the model.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect
from safetensors import safe_open

from app.services import Lab
from app.settings import ROOT, Settings

SMALL = {
    "epochs": 2,
    "prompts_per_epoch": 2,
    "group_size": 2,
    "num_steps": 4,
    "sde_window": 1,
    "lora_rank": 2,
    "eval_prompts": 10,
    "eval_steps": 2,
    "search.num_candidates": 2,
    "search.num_iterations": 1,
    "search.elite_fraction": 0.5,
    "watch_every": 2,
}


def test_a_fine_tune_from_click_to_lora(page: Page, serve: Callable[[Any], str], tmp_path: Path) -> None:
    page.goto(f"{serve(Lab(Settings(tmp_path, recorded=None)))}train")
    page.locator("#train-preset").select_option("smart-grpo")
    page.locator(".train-form details.more").evaluate_all("all => all.forEach(one => { one.open = true; })")
    for name, value in SMALL.items():
        page.locator(f"#train-{name.replace('.', '-')}").fill(str(value))
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".train-stage[data-state='pending']")).to_be_visible()
    # what a lab's worker starts for long jobs; it takes one and ends
    command = [sys.executable, "-m", "app", "worker", "--lane", "batch", "--data-dir", str(tmp_path)]
    worker = subprocess.Popen(command, cwd=ROOT)
    page.reload()
    expect(page.locator(".train-stage[data-state='succeeded']")).to_be_visible(timeout=200_000)
    assert worker.wait(timeout=60) == 0
    expect(page.locator(".headline")).to_contain_text(
        "On prompts never trained the reward of the averaged weights went"
    )
    expect(page.locator("output.epoch")).to_have_text("Epoch 2")
    expect(page.locator(".sample-card .face")).to_have_count(8)
    expect(page.locator("[data-chart='reward'] .js-line").last).to_be_visible()
    expect(page.locator(".machine")).to_contain_text("torch")
    with page.expect_download() as told:
        page.get_by_role("link", name="LoRA .safetensors").click()
    with safe_open(Path(told.value.path()), "np") as file:
        assert any(name.endswith("lora_A.weight") for name in file.keys())  # noqa: SIM118  # it is no mapping
    page.locator(".watched a").click()
    expect(page.locator(".board .candidate").first).to_be_visible(timeout=30_000)
    expect(page.locator(".lab-session .meta")).to_contain_text("fine-tuned")
