"""Page Sweep over a real lab: a sweep is asked for, told as it goes, read as a map whose cells open their sessions."""

import re

from playwright.sync_api import Locator, Page, expect

from app.sweep_config import hash_of, read_sweep, to_plain
from app.worker import Worker
from storage import jobs, sweeps
from tests.e2e.kept import Kept
from tests.fakes import fake_reward, fake_toolbox
from tests.integration.test_sweeping import BASE

HOSTILE = "a photo of <img src=x onerror=\"document.title='taken'\"> a star"
BODY = {
    "axes": [
        {"setting": "search.num_candidates", "values": [3, 4]},
        {"setting": "model", "values": ["fake", "no-weights"]},
    ],
    "prompts": ["a photo of a red circle", HOSTILE],
    "base": BASE,
}


def work(kept: Kept) -> None:
    """What the worker would do next, with the fake engine."""
    Worker(kept.lab.database, kept.lab.artifacts, fake_toolbox(reward=fake_reward), lane="batch").run_one()


def swept(kept: Kept) -> str:
    """A sweep of the fake model, half of whose cells cannot be run; it waits."""
    config = read_sweep(BODY)
    with kept.lab.database.write() as tx:
        record_id = sweeps.create(tx, to_plain(config), hash_of(config), name="Both", preset="smart-grpo")
        jobs.enqueue(tx, kind=jobs.SWEEP, record_id=record_id, lane="batch")
    return record_id


def cells(page: Page) -> Locator:
    return page.locator(".map .cell")


def test_a_sweep_is_asked_for_and_stopped(page: Page, address: str, kept: Kept) -> None:
    page.goto(f"{address}sweep")
    expect(page.get_by_role("heading", name="Nothing has been swept here yet")).to_be_visible()
    page.get_by_label("Values of the first setting").fill("3, 5")
    page.get_by_label("And", exact=True).select_option("step_kind")
    page.get_by_role("button", name="dance", exact=True).click()
    expect(page.get_by_label("Values of the second setting")).to_have_value("sde, cps")
    expect(page.locator(".cost")).to_contain_text("24 runs in 4 cells")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("heading", name="Candidates (K) by step kind")).to_be_visible()
    expect(cells(page)).to_have_count(4)
    expect(cells(page).first).to_contain_text("6 not run")
    assert kept.lab.queue()["jobs"][0]["kind"] == "sweep"
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".chip-state")).to_have_text("Stopped")
    expect(page.get_by_role("button", name="Run what is missing")).to_be_visible()


def test_what_is_wrong_is_told_beside_its_field(page_with_errors: Page, address: str) -> None:
    page = page_with_errors
    page.goto(f"{address}sweep")
    page.get_by_label("Values of the first setting").fill("3, 3")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("[data-field='axis-0'] .wrong")).to_contain_text("expected every value once")


def test_a_map_fills_and_its_cells_open_sessions(page: Page, address: str, kept: Kept) -> None:
    record_id = swept(kept)
    page.goto(f"{address}sweep?record={record_id}")
    expect(page.locator(".chip-state")).to_have_text("Waiting")
    work(kept)
    expect(page.locator(".chip-state")).to_have_text("Finished")
    expect(page.locator(".lab-made .status")).to_contain_text("4 of 8 runs finished, 4 failed")
    expect(cells(page).nth(1)).to_contain_text("2 failed")
    expect(cells(page).nth(1)).to_have_class(re.compile("empty"))
    page.get_by_label("Measure").select_option("nfe")
    expect(cells(page).first).to_contain_text(re.compile(r"\d"))
    cells(page).nth(1).click()
    expect(page.locator(".runs .problem").first).to_contain_text("weights of no-weights")
    page.wait_for_url("**cell=0.1**")
    page.reload()
    expect(cells(page).nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("Measure")).to_have_value("nfe")
    cells(page).nth(2).click()
    expect(page.locator(".runs li")).to_have_count(2)
    expect(page.locator(".runs bdi").nth(1)).to_have_text(HOSTILE)
    page.locator(".runs a").first.click()
    page.wait_for_url("**session=**")
    assert page.title() != "taken"


def test_brushed_axes_lead_to_the_records(page: Page, address: str, kept: Kept) -> None:
    for reward in (0.3, 0.5, 0.7):
        kept.finished(f"a photo of {reward}", rewards={"search": reward, "no_search": 0.4})
    kept.finished("another", preset="best-of-k", rewards={"search": 0.9, "no_search": 0.4})
    page.goto(f"{address}sweep?across=library&text=photo")
    expect(page.locator(".brushed .head")).to_contain_text("3 of 3 kept")
    expect(page.get_by_role("link", name="Library lists with the same filters")).to_have_attribute(
        "href", re.compile("library\\?text=photo$")
    )
    axis = page.evaluate(
        """() => { const plot = document.querySelector('.coordinates');
          const at = plot.data[0].dimensions.findIndex(one => one.label === 'Reward');
          const range = {[`dimensions[${at}].constraintrange`]: [[0.45, 0.8]]};
          return window.Plotly.restyle(plot, range).then(() => at); }"""
    )
    assert axis >= 0
    expect(page.locator(".brushed .head")).to_contain_text("2 of 3 kept")
    page.locator(".brushed a").first.click()
    page.wait_for_url("**session=**")


def test_the_library_leads_to_the_coordinates(page: Page, address: str, kept: Kept) -> None:
    kept.finished("a photo of a star", rewards={"search": 0.5})
    kept.finished("a photo of a circle", rewards={"search": 0.6})
    page.goto(f"{address}library?kind=session")
    page.get_by_role("link", name=re.compile("arallel coordinates")).click()
    expect(page.locator(".brushed .head")).to_contain_text("2 of 2 kept")
