"""Page Status fetches what is not here: a licence first, how far it is, stopping, going on, what the hub refuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import tiny
from tests.e2e.kept import Kept
from tests.fake_hub import FakeHub, fake_hub

LARGE = "stabilityai/stable-diffusion-3.5-large"
MEDIUM = "stabilityai/stable-diffusion-3.5-medium"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "pipeline"
    tiny.sd3_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def hub(pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with fake_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        hub.add(MEDIUM, pipeline, **{"vae/diffusion_pytorch_model.safetensors.note": b"x" * 400_000})
        yield hub


def offer(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name="Models", exact=True).locator("li").filter(has_text=title)


def test_a_model_is_fetched_stopped_and_fetched_on(page: Page, address: str, kept: Kept, hub: FakeHub) -> None:
    hub.delay = 0.5
    page.goto(f"{address}status")
    medium = offer(page, "3.5 Medium")
    expect(medium.get_by_role("link")).to_have_attribute("href", f"https://huggingface.co/{MEDIUM}")
    download = medium.get_by_role("button", name="Download (16.3 GB)")
    expect(download).to_be_disabled()
    medium.get_by_label("I have read and accepted").check()
    download.click()
    expect(medium.get_by_role("progressbar")).to_be_visible()
    expect(medium).to_contain_text("MB of 1 MB")  # a small model of the same kind
    medium.get_by_role("button", name="Stop the download").click()
    expect(medium).to_contain_text("Stopped; what has come is kept.")
    hub.delay = 0.0
    medium.get_by_label("I have read and accepted").check()
    medium.get_by_role("button", name="Try again").click()
    expect(medium.locator(".sign")).to_have_text("usable")
    expect(medium.get_by_role("button")).to_have_count(0)


def test_a_gated_model_says_how_to_get_in(page: Page, address: str, kept: Kept, hub: FakeHub) -> None:
    hub.repositories[LARGE] = hub.repositories[MEDIUM]
    hub.gated.add(LARGE)
    page.goto(f"{address}status")
    large = offer(page, "3.5 Large")
    large.get_by_label("I have read and accepted").check()
    large.get_by_role("button", name="Download").click()
    expect(large.get_by_role("status")).to_contain_text("There is no token on this machine")
    expect(large.locator("code").filter(has_text="hf auth login")).to_be_visible()
    expect(large.get_by_role("button", name="Try again")).to_be_disabled()  # until the licence is accepted again
