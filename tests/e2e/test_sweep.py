"""Page Sweep over a real lab: a sweep is asked for, told as it goes, read as a map whose cells open their sessions."""

import re
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Locator, Page, expect

from app.sweep_config import from_plain, hash_of, read_sweep, to_plain
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


def swept(kept: Kept, body: dict[str, Any] = BODY) -> str:
    """A sweep of the fake model, half of whose cells cannot be run; it waits."""
    config = read_sweep(body)
    with kept.lab.database.write() as tx:
        record_id = sweeps.create(tx, to_plain(config), hash_of(config), name="Both", preset="smart-grpo")
        jobs.enqueue(tx, kind=jobs.SWEEP, record_id=record_id, lane="batch")
    return record_id


TUNED = {
    "of": "train",
    "axes": [
        {"setting": "learning_rate", "values": [3e-4, 1e-3]},
        {"setting": "model", "values": ["fake", "no-weights"]},
    ],
    "seeds": 2,
    "base": {"epochs": 2, "sample_every": 1},
}


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


def test_fine_tunes_are_asked_for_with_fields_of_their_own(page_with_errors: Page, address: str, kept: Kept) -> None:
    page = page_with_errors
    page.goto(f"{address}sweep")
    page.get_by_role("button", name="Fine-tunes", exact=True).click()
    expect(page.get_by_label("Values of the first setting")).to_have_value("3e-4, 6e-4, 1.2e-3")
    expect(page.get_by_label("Lines", exact=True)).to_be_hidden()
    page.get_by_label("Values of the first setting").fill("3e-4, 1e-3")
    page.get_by_label("And", exact=True).select_option("ema")
    page.get_by_role("button", name="yes", exact=True).click()
    page.get_by_label("Seeds").fill("2")
    page.get_by_label("Epochs").fill("5")
    expect(page.locator(".cost")).to_contain_text("4 runs in 2 cells")
    page.get_by_label("Epochs").fill("many")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("[data-field='epochs'] .wrong")).to_contain_text("expected a whole number")
    page.get_by_label("Epochs").fill("5")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("heading", name="Learning rate by running average (EMA)")).to_be_visible()
    (job,) = kept.lab.queue()["jobs"]
    with kept.lab.database.read() as tx:
        config = from_plain(sweeps.sweep_row(tx, job["record_id"]).config)
    assert config.num_runs == 4 and {run.config.epochs for run in config.runs()} == {5}
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".chip-state")).to_have_text("Stopped")
    page.get_by_role("button", name="Searches", exact=True).click()
    page.get_by_role("button", name="Use these settings").click()
    expect(page.get_by_label("Epochs")).to_have_value("5")
    expect(page.get_by_label("Values of the first setting")).to_have_value("0.0003, 0.001")


def test_a_map_of_gains_fills_and_its_cells_open_fine_tunes(page: Page, address: str, kept: Kept) -> None:
    record_id = swept(kept, TUNED)
    page.goto(f"{address}sweep?record={record_id}")
    expect(page.locator(".chip-state")).to_have_text("Waiting")
    work(kept)
    expect(page.locator(".chip-state")).to_have_text("Finished")
    expect(page.locator(".lab-made .status")).to_contain_text("4 of 8 runs finished, 4 failed")
    expect(page.locator(".map caption")).to_have_text(re.compile("Held-out reward, gain over the base"))
    expect(cells(page).first).to_contain_text("\u00b1")
    page.get_by_label("Measure").select_option("gain:verifier")
    expect(cells(page).first).to_contain_text("0.000")
    expect(page.locator(".map .unsure")).to_have_count(2)
    expect(page.locator(".map-key + .note")).to_contain_text("Faded cells: their interval holds 0")
    cells(page).nth(1).click()
    expect(page.locator(".runs .problem").first).to_contain_text("weights of no-weights")
    cells(page).nth(2).click()
    expect(page.locator(".runs small").nth(1)).to_have_text("seed 1")
    expect(page.locator(".brushed .head")).to_contain_text("4 of 4 kept")
    page.locator(".runs a").first.click()
    page.wait_for_url("**train?record=**")
    expect(page.get_by_role("heading", name="Both: learning rate 0.001, model fake, seed 0")).to_be_visible()


def test_another_sweep_is_taken_from_one_cell_by_cell(page: Page, address: str, kept: Kept) -> None:
    first = swept(kept, TUNED)
    second = swept(kept, TUNED | {"base": {"epochs": 3, "sample_every": 1}})
    work(kept)
    work(kept)
    page.goto(f"{address}sweep?record={first}")
    page.get_by_label("Less another sweep").select_option(second)
    expect(page.locator(".map-key + .note")).to_contain_text("this sweep less the other")
    expect(cells(page).first).to_contain_text("2 pairs")
    page.wait_for_url(f"**less={second}**")
    page.reload()
    expect(page.get_by_label("Less another sweep")).to_have_value(second)
    expect(page.locator(".map-key + .note")).to_contain_text("this sweep less the other")
    page.get_by_label("Less another sweep").select_option("")
    expect(page.locator(".map-key + .note")).to_contain_text("Each cell is a mean over 2 seeds")
    assert "less=" not in page.url


def test_what_is_wrong_is_told_beside_its_field(page_with_errors: Page, address: str) -> None:
    page = page_with_errors
    page.goto(f"{address}sweep")
    page.get_by_label("Values of the first setting").fill("3, 3")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("[data-field='axis-0'] .wrong")).to_contain_text("expected every value once")
    expect(page.locator(".cost")).to_have_text("")
    page.get_by_label("Values of the first setting").fill("2")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".foot .problem")).to_contain_text(
        "Elite fraction (P): Elite fraction (P) * Candidates (K) must"
    )
    page.get_by_label("Seeds").fill("1")
    expect(page.locator(".foot .problem")).to_have_text("")


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


def test_what_is_cut_on_an_axis_stays_different_and_is_no_markup(page: Page, address: str, kept: Kept) -> None:
    begin = "a photo of <b>two</b> circles"
    for number, prompt in enumerate((f"{begin} left of a star", f"{begin} right of a star", f"{begin} above a star")):
        kept.finished(prompt, rewards={"search": number / 4})
    kept.finished(f"{begin} above a star", preset="best-of-k", rewards={"search": 0.9})
    page.goto(f"{address}sweep?across=library")
    expect(page.locator(".brushed .head")).to_contain_text("4 of 4 kept")
    texts = [
        text
        for text in page.locator(".coordinates .axis .tick text").all_text_contents()
        if "<b>" in text or "photo" in text or "&" in text
    ]
    assert len(set(texts)) == len(texts) == 3 and not any("&lt;" in text for text in texts)
    expect(page.locator(".brushed li", has_text="above a star").first.locator("small")).to_contain_text("best-of-k")
    page.set_viewport_size({"width": 390, "height": 900})
    kept.finished("a photo", name="Abcdefghijklmnopqrstuvwxyz" * 3, rewards={"search": 1.0})
    page.reload()
    expect(page.locator(".brushed li").nth(1)).to_contain_text("Abcd")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_library_leads_to_the_coordinates(page: Page, address: str, kept: Kept) -> None:
    kept.finished("a photo of a star", rewards={"search": 0.5})
    kept.finished("a photo of a circle", rewards={"search": 0.6})
    page.goto(f"{address}library?kind=session&since=2026-11-23")
    link = page.get_by_role("link", name=re.compile("arallel coordinates"))
    begins = page.evaluate("new Date('2026-11-23T00:00').toISOString()")  # a day of the reader's own, as in the library
    expect(link).to_have_attribute("href", re.compile(re.escape(quote(begins, safe=""))))
    link.click()
    expect(page.locator(".brushed .head")).to_contain_text("2 of 2 kept")


def test_an_address_of_another_kind_says_what_it_is_and_where(page_with_errors: Page, address: str, kept: Kept) -> None:
    page = page_with_errors
    search, sweep = kept.finished("a photo of <b>a</b> star"), swept(kept)
    told = page.locator(".notices")
    for where, word in (("sweep", "sweep"), ("train", "fine-tune"), ("reliability", "measurement")):
        page.goto(f"{address}{where}?record={search}")
        expect(told).to_contain_text(f"\u201ca photo of <b>a</b> star\u201d is a search, not a {word}.")
        expect(told.get_by_role("link")).to_have_text("Open it on page Explore")
        expect(page.locator(".map, .lab-made .head").locator("visible=true")).to_have_count(0)
    page.goto(f"{address}sweep?record=nosuch")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(told).to_contain_text("There is no record nosuch here")
    expect(told).to_be_in_viewport()  # and not below the form
    page.get_by_label("Sweep", exact=True).select_option(sweep)
    expect(cells(page)).to_have_count(4)
    expect(told).to_be_empty()
    page.goto(f"{address}?session={sweep}")
    told.get_by_role("link", name="Open it on page Sweep").click()
    expect(cells(page)).to_have_count(4)
    kept.lab.cancel_job(kept.lab.queue()["jobs"][0]["job_id"])
    kept.lab.trash_record(sweep)
    page.reload()
    expect(told).to_have_text("This lies in the trash. Restore it in the Library")
