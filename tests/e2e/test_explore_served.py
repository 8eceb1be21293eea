"""Page Explore over the whole lab as it is started: server, supervised worker, and the model that came with it."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from app.settings import ROOT
from tests.e2e.explore_page import Explore


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    found = re.search(r"http://\S+/", process.stdout.readline())
    assert found
    yield found[0]
    process.terminate()
    process.wait(timeout=60)


def test_the_first_visit_shows_the_recorded_session(page: Page, address: str) -> None:
    shown = Explore(page, address)
    shown.expect_state("succeeded")
    expect(shown.cards).to_have_count(6)
    expect(page.locator(".verdict")).to_contain_text("On the reward it climbed")


def test_a_search_from_click_to_outcome(page: Page, address: str) -> None:
    shown = Explore(page, address)
    shown.write_prompt("a photo of a green square above a red circle")
    shown.run()
    expect(shown.rows.first).to_be_visible(timeout=60_000)
    shown.press("Pause")
    shown.expect_state("paused")
    told = shown.status.inner_text()
    shown.press("Step")
    expect(shown.status).not_to_have_text(told)
    shown.expect_state("paused")
    page.reload()
    shown.expect_state("paused")
    shown.press("Continue")
    shown.expect_state("succeeded", 200_000)
    expect(page.locator(".arm.missing")).to_have_count(0)
    expect(page.locator(".scores .climbed .crown").first).to_be_visible()
    page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    page.get_by_role("button", name="Finish from here").click()
    expect(page.locator(".truth .promise")).to_contain_text("The guess promised", timeout=60_000)
    expect(page.locator(".candidate.at .sign")).to_have_text(re.compile(r"\d\.\d\d"))
