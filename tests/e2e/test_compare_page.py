"""Page Compare in a browser: the tray that fills it, boards under one cursor, samples under one slider, plain words."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.fake_train import FakeRuns
from tests.e2e.kept import Kept
from tests.integration.test_worker import start, worker

HOSTILE = "<img src=x onerror=\"document.body.dataset.broken='yes'\"> & </script>"
SMALL = {"window_min": 0.1, "window_max": 1.0, "arms": ["ode"], "search": {"num_candidates": 4, "num_iterations": 3}}


@pytest.fixture
def sessions(kept: Kept) -> Iterator[list[str]]:
    """Two searches of one prompt whose schedules differ, and one of another prompt."""
    asked = ({"num_steps": 4}, {"num_steps": 6}, {"num_steps": 4, "prompt": HOSTILE})
    ids = []
    for one in asked:
        ids.append(start(kept.lab, **SMALL, **one))
        assert worker(kept.lab).run_one()
    yield ids


def compare(page: Page, address: str, *ids: str, more: str = "") -> Locator:
    """Open a comparison; returns the searches' boards."""
    page.goto(f"{address}compare?ids={','.join(ids)}{more}")
    expect(page.locator(".side-head")).to_have_count(len(ids))
    return page.locator(".side-column")


def test_the_tray_is_filled_on_other_pages_and_leads_to_the_comparison(
    page: Page, address: str, sessions: list[str]
) -> None:
    for number, record_id in enumerate(sessions[:2]):
        page.goto(f"{address}?session={record_id}")
        button = page.locator(".lab-compare-add")
        expect(button).to_have_text("Compare")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".lab-tray li")).to_have_count(number + 1)
    expect(page.locator(".lab-tray .title").first).to_have_text("a photo of a red circle")
    expect(page.locator(".lab-tray .apart")).to_have_text(["steps 4", "steps 6"])
    page.goto(f"{address}status")  # it is the same on every page, and outlives it
    page.get_by_role("link", name="Compare 2 records").click()
    expect(page).to_have_url(re.compile(rf"compare\?ids={sessions[0]},{sessions[1]}$"))
    expect(page.locator(".lab-tray")).to_have_count(0)
    expect(page.locator(".side-heads .side-letter")).to_have_text(["A", "B"])
    page.get_by_role("button", name="Take out: A").click()
    expect(page.locator(".side-head")).to_have_count(1)
    expect(page).to_have_url(re.compile(rf"ids={sessions[1]}$"))
    expect(page.get_by_text("Add another record to compare it with.")).to_be_visible()


def test_boards_obey_one_cursor_that_the_address_keeps(page: Page, address: str, sessions: list[str]) -> None:
    boards = compare(page, address, *sessions[:2], more="&at=1&iteration=0")
    expect(boards).to_have_count(2)
    expect(page.get_by_text("Their schedules differ")).to_be_visible()
    marked = page.locator(".side-cells .at")
    expect(marked).to_have_count(2)
    expect(page.locator(".side-row.at .number")).to_have_text(["1", "1"])
    boards.nth(1).locator("[data-iteration='1'] [data-candidate='2']").click()
    for board in (0, 1):
        expect(boards.nth(board).locator(".side-cells .at")).to_have_attribute("data-candidate", "2")
        expect(boards.nth(board).locator(".side-large")).to_contain_text("candidate 3, iteration 2")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    expect(boards.nth(0).locator(".side-large")).to_contain_text("candidate 2, iteration 3")
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"at=2&iteration=2&candidate=1"))
    page.reload()
    expect(boards.nth(1).locator(".side-large")).to_contain_text("candidate 2, iteration 3")
    expect(page.get_by_role("slider", name="Timestep")).to_have_value("2")


def test_what_differs_is_seen_first_and_one_sample_gives_no_verdict(
    page: Page, address: str, kept: Kept, sessions: list[str]
) -> None:
    compare(page, address, *sessions[:2])
    section = page.locator("[data-kind='session']")
    config = section.locator(".side-config")
    expect(config.locator("table").first.locator("tbody tr")).to_have_count(1)
    expect(config.locator("table").first.locator("tbody")).to_contain_text("Steps46")
    expect(section.locator(".side-verdicts")).to_contain_text("one sample, no verdict")
    expect(page.locator(".side-outcome tbody tr")).to_have_count(2)
    expect(page.locator(".side-head .prompt-of")).to_have_text(["steps 4", "steps 6"])  # their titles stand above
    expect(page.locator(".compare .picks select").nth(1)).to_have_value("B: Noise search")
    section.locator(".charts").first.get_by_role("button", name="Show as tables").click()
    expect(page.locator("[data-chart='arms'] table thead")).to_contain_text("A")
    compare(page, address, *sessions, kept.finished("a photo"))
    expect(config.locator("table").first.locator("thead .side-letter")).to_have_count(4)
    box, whole = config.bounding_box(), section.bounding_box()
    assert box and whole and box["width"] > 0.9 * whole["width"], "many columns take the page's width"


def test_records_that_are_gone_hostile_or_of_another_kind_are_told(
    page: Page, address: str, kept: Kept, sessions: list[str], tmp_path: Path
) -> None:
    run = FakeRuns(kept).finished(epochs=4, eval_every=2, sample_every=2)
    kept.lab.trash_record(sessions[2])
    boards = compare(page, address, sessions[0], sessions[2], run, "gone1")
    expect(boards).to_have_count(2)
    expect(page.get_by_text("It lies in the trash.")).to_be_visible()
    expect(page.get_by_text("There is no such record here")).to_be_visible()
    expect(page.locator(".side-said")).to_contain_text("A and B are searches; C is a fine-tune")
    expect(page.locator("[data-side='B'] .title")).to_have_text(HOSTILE)
    with page.expect_download() as download:
        page.get_by_role("link", name="Report").click()
    download.value.save_as(tmp_path / "report.html")
    page.goto((tmp_path / "report.html").as_uri())
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    assert page.evaluate("document.body.dataset.broken") is None


def test_samples_of_fine_tunes_stand_under_one_slider(page: Page, address: str, kept: Kept) -> None:
    runs = FakeRuns(kept)
    few = {"epochs": 4, "eval_every": 2}
    ids = [runs.finished(sample_every=every, learning_rate=rate, **few) for every, rate in ((2, 1e-3), (4, 1e-4))]
    compare(page, address, *ids)
    cells = page.locator(".side-samples tbody tr")
    expect(cells).to_have_count(2)
    expect(cells.nth(0).locator("td")).to_have_count(8)
    slider = page.get_by_role("slider", name="Epoch")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(cells.locator("th small")).to_have_text(["epoch 2", "epoch 0"])
    expect(page).to_have_url(re.compile(r"epoch=2"))
    expect(page.locator("[data-chart='verifier'] .main-svg").first).to_be_visible()
