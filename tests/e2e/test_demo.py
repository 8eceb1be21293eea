"""A demonstration in a browser: it says what it is, shows everything, offers nothing that runs or changes anything."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.demo import demo_lab

LINE = "This is a demonstration: recorded sessions, nothing runs."
PAGES = ("", "reliability", "train", "sweep", "library", "compare", "status")


@pytest.fixture(scope="module")
def demo(serve: Callable[[Any], str]) -> Iterator[str]:
    with demo_lab() as lab:
        yield serve(lab)


def test_explore_shows_the_recording_and_offers_no_run(page: Page, demo: str) -> None:
    page.goto(demo)
    expect(page.get_by_role("note").filter(has_text=LINE)).to_be_visible()
    expect(page.locator(".lab-session .candidate img").first).to_be_visible()
    expect(page.locator("#run")).to_be_hidden()
    expect(page.get_by_text("Press Run").filter(visible=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Finish", exact=False)).to_have_count(0)
    page.locator(".lab-session .candidate").nth(1).click()
    page.wait_for_url("**at=**")  # moving about needs no worker
    expect(page.locator(".arm img").first).to_be_visible()


def test_no_page_offers_what_cannot_be_done(page: Page, demo: str) -> None:
    for path in PAGES:
        page.goto(demo + path)
        expect(page.get_by_role("note").filter(has_text=LINE)).to_be_visible()
        for label in ("Run", "Train", "Queue", "Rename", "Move to the trash", "Fetch", "Evaluate"):
            expect(page.get_by_role("button", name=label, exact=True)).to_have_count(0)


def test_the_library_opens_its_recordings(page: Page, demo: str) -> None:
    page.goto(f"{demo}library")
    page.locator(".record .title").first.click()
    expect(page.locator(".lab-session .candidate img").first).to_be_visible()


def test_reliability_train_and_sweep_open_with_a_recording(page: Page, demo: str) -> None:
    page.goto(f"{demo}reliability")
    expect(page.locator(".rel-stage[data-state='succeeded'] .status")).to_contain_text("6 rows")
    page.goto(f"{demo}train")
    expect(page.locator(".train-stage[data-state='succeeded'] .name")).to_contain_text("24 epochs")
    expect(page.locator(".sample-card").first).to_be_visible()
    expect(page.get_by_role("button", name="Evaluate")).to_have_count(0)
    page.get_by_role("link", name="Epoch 12", exact=True).click()  # a search that it watched
    expect(page.locator(".lab-session .candidate img").first).to_be_visible()
    page.goto(f"{demo}sweep")
    expect(page.get_by_role("heading", name="Preset by guidance")).to_be_visible()


def test_status_says_that_nothing_runs(page: Page, demo: str) -> None:
    page.goto(f"{demo}status")
    expect(page.get_by_role("region", name="Worker")).to_contain_text("nothing runs")
