"""Page Explore in a real browser, over a lab that needs no model."""

import json
import re
from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client
from playwright.sync_api import Browser, Page, expect

from app.ui.explore import ExplorePage
from core.config import PRESETS, ExploreConfig
from tests.e2e.explore_page import Explore
from tests.e2e.fake_lab import FakeLab


@pytest.fixture(scope="module")
def short(serve: Callable[[Any], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A site whose newest session searched nothing."""
    config = ExploreConfig("a photo of a blue star", search=PRESETS["no-search"], rewards={"shapes-clip": 1.0})
    return serve(FakeLab(tmp_path_factory.mktemp("short"), recorded=config))


def test_first_visit_shows_a_finished_session_and_one_run(page: Page, site: str) -> None:
    shown = Explore(page, site)
    shown.expect_state("succeeded")
    expect(page.locator(".prompt")).to_have_text("a photo of a red circle left of a blue star")
    expect(page.locator(".notice.hint")).to_have_text(
        "The newest finished session. Press Run to start one of your own."
    )
    expect(shown.cells).to_have_count(10)
    expect(shown.rows).to_have_count(5)
    expect(shown.cards).to_have_count(6)
    expect(page.get_by_role("button", name="Run", exact=True)).to_have_count(1)
    for drive in ("Pause", "Step", "Continue", "Stop"):
        expect(page.get_by_role("button", name=drive, exact=True)).to_be_hidden()
    for name in ("prompt", "preset", "model", "reward"):
        expect(shown.field(name)).to_be_visible()
    assert not page.locator("#field-seed").is_visible()
    assert shown.field("preset").input_value() == "smart-grpo"
    page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


def test_a_run_grows_before_ones_eyes_and_ends(page: Page, site: str) -> None:
    shown = Explore(page, site)
    shown.write_prompt("a photo of two green triangles")
    shown.run()
    expect(page.locator("#run")).to_have_text("Add to the queue")
    expect(shown.status).to_have_text(re.compile(r"Step \d+ of 10, iteration \d of 5, \d+ velocity evaluations\."))
    expect(page.locator(".cell.current .badge")).to_be_visible()
    shown.expect_state("succeeded", 60_000)
    expect(page.locator(".prompt")).to_have_text("a photo of two green triangles")
    expect(shown.status).to_contain_text("Finished in")
    expect(page.locator(".arm.missing")).to_have_count(0)
    expect(page.locator("#run")).to_have_text("Run")


def test_pause_step_continue(page: Page, site: str, unhurried: FakeLab) -> None:
    shown = Explore(page, site)
    shown.run()
    expect(shown.rows.first).to_be_visible()
    shown.press("Pause")
    shown.expect_state("paused")
    told = shown.status.inner_text()
    page.wait_for_timeout(800)
    assert shown.status.inner_text() == told
    shown.press("Step")
    expect(shown.status).not_to_have_text(told)
    shown.expect_state("paused")
    expect(page.get_by_role("button", name="Step", exact=True)).to_be_enabled()
    shown.press("Continue")
    shown.expect_state("running")
    expect(page.get_by_role("button", name="Step", exact=True)).to_be_disabled()
    unhurried.delay = 0.02
    shown.expect_state("succeeded", 60_000)


def test_reload_reopens_the_session_and_goes_on_live(page: Page, site: str, unhurried: FakeLab) -> None:
    shown = Explore(page, site)
    shown.write_prompt("a photo of a black star")
    record = shown.run()
    expect(shown.rows.first).to_be_visible()
    page.reload()
    assert shown.id() == record
    expect(page.locator(".prompt")).to_have_text("a photo of a black star")
    expect(shown.field("prompt")).to_have_value("a photo of a black star")
    told = shown.status.inner_text()
    expect(shown.status).not_to_have_text(told)
    unhurried.delay = 0.02
    shown.expect_state("succeeded", 60_000)


def test_a_paused_session_reopens_paused_elsewhere_and_hears_of_its_end(
    browser: Browser, page: Page, site: str, unhurried: FakeLab
) -> None:
    first = Explore(page, site)
    record = first.run()
    first.press("Pause")
    first.expect_state("paused")
    other = browser.new_page()
    second = Explore(other, site, f"?session={record}")
    second.expect_state("paused")
    second.press("Stop")
    second.expect_state("cancelled")
    first.expect_state("cancelled")
    other.close()


def test_stop_keeps_what_was_found(page: Page, site: str, unhurried: FakeLab) -> None:
    shown = Explore(page, site)
    record = shown.run()
    expect(shown.rows.first).to_be_visible()
    shown.press("Stop")
    shown.expect_state("cancelled")
    expect(shown.status).to_contain_text("is kept")
    expect(shown.rows.first).to_be_visible()
    expect(page.locator("#run")).to_have_text("Run")
    assert (record, "cancel") in unhurried.commands


def test_markup_in_a_prompt_is_text(page: Page, site: str, unhurried: FakeLab) -> None:
    hostile = "<img src=x onerror='window.hit=1'> ${window.hit=2} {{7*7}} <script>window.hit=3</script>"
    shown = Explore(page, site)
    shown.write_prompt(hostile)
    record = shown.run()
    expect(page.locator(".prompt")).to_have_text(hostile)
    shown.press("Stop")
    shown.expect_state("cancelled")
    again = Explore(page, site, f"?session={record}")
    expect(page.locator(".prompt")).to_have_text(hostile)
    expect(again.field("prompt")).to_have_value(hostile)
    assert page.evaluate("window.hit") is None
    assert page.locator(".lab-session img[src='x']").count() == 0


def test_bad_fields_are_told_beside_the_form_and_nothing_is_lost(page: Page, site: str, unhurried: FakeLab) -> None:
    shown = Explore(page, site)
    before = len(unhurried.sessions)
    shown.open_advanced()
    shown.write_prompt("   ")
    shown.field("num_steps").fill("1.5")
    shown.field("seed").fill("")
    page.click("#run")
    problems = page.locator(".lab-problems li")
    expect(problems).to_have_count(3)
    expect(page.locator(".lab-problems")).to_contain_text("Steps: expected a whole number from 2 to 100, got 1.5")
    expect(page.locator(".lab-problems")).to_contain_text(
        "Seed: expected a whole number from 0 to 2,147,483,647, got nothing"
    )
    expect(page.locator(".lab-problems p")).to_have_text("3 fields need attention.")
    expect(page.locator("#field-num_steps")).to_have_class(re.compile("lab-bad"))
    expect(shown.field("num_steps")).to_have_value("1.5")
    expect(shown.field("prompt")).to_be_focused()
    expect(shown.field("prompt")).to_be_in_viewport()
    shown.field("num_steps").fill("12")
    expect(problems).to_have_count(2)
    expect(page.locator("#field-num_steps")).not_to_have_class(re.compile("lab-bad"))
    expect(page.locator(".lab-wrong")).to_have_count(2)
    expect(page.locator("#field-seed .lab-wrong")).to_contain_text("got nothing")
    shown.field("num_steps").fill("1.5")
    expect(page.locator(".lab-form .cost.unknown")).to_be_visible()
    expect(problems).to_have_count(2)  # told when it is sent
    expect(page.locator(".prompt")).to_be_visible()
    assert len(unhurried.sessions) == before
    shown.write_prompt("a photo of a red star")
    shown.field("num_steps").fill("10")
    shown.field("seed").fill("3")
    shown.run()
    expect(problems).to_have_count(0)
    shown.press("Stop")


def test_a_problem_in_a_folded_field_unfolds_it(page: Page, site: str) -> None:
    shown = Explore(page, site)
    shown.open_advanced()
    shown.fill("search.elite_fraction", "0.1")
    page.locator("#advanced button").first.click()
    expect(shown.field("seed")).to_be_hidden()
    page.click("#run")
    expect(page.locator(".lab-problems")).to_contain_text("got floor(0.1 * 5) = 0")
    expect(shown.field("search.elite_fraction")).to_be_focused()
    expect(shown.field("search.elite_fraction")).to_be_in_viewport()
    shown.fill("search.num_candidates", "20")  # a tenth of these is something
    expect(page.locator(".lab-problems")).to_be_empty()
    expect(page.locator(".lab-bad")).to_have_count(0)


def test_the_closed_form_fits_its_column(page: Page, site: str) -> None:
    Explore(page, site)
    page.set_viewport_size({"width": 1440, "height": 900})
    wide = "[...document.querySelectorAll('#form, #form *')].filter(one => one.scrollWidth > one.clientWidth"
    assert page.evaluate(f"{wide} && /auto|scroll/.test(getComputedStyle(one).overflowX)).length") == 0


def test_a_search_is_queued_behind_the_one_that_runs(page: Page, site: str, unhurried: FakeLab) -> None:
    shown = Explore(page, site)
    first = shown.run()
    expect(page.locator("#run")).to_have_text("Add to the queue")
    shown.write_prompt("a photo of a black square")
    second = shown.run()
    assert second != first
    expect(page.locator(".prompt")).to_have_text("a photo of a black square")
    for record in (first, second):
        unhurried.command(record, "cancel")
    expect(page.locator("#run")).to_have_text("Run")


def test_a_preset_fills_its_fields_and_a_change_is_named(page: Page, site: str, unhurried: FakeLab) -> None:
    shown = Explore(page, site)
    shown.open_advanced()
    shown.field("preset").click()
    page.get_by_role("option", name="one-shot", exact=True).click()
    expect(shown.field("search.num_candidates")).to_have_value("25")
    expect(shown.field("search.num_iterations")).to_have_value("1")
    shown.field("search.num_candidates").fill("6")
    record = shown.run()
    assert unhurried.sessions[record].config.search.num_candidates == 6
    assert unhurried.sessions[record].config.search.preset == "one-shot, changed"
    expect(page.locator(".meta")).to_contain_text("one-shot,\u00a0changed")
    expect(shown.rows.locator(".candidate")).to_have_count(6)
    shown.press("Stop")


def test_an_example_fills_the_prompt(page: Page, site: str) -> None:
    shown = Explore(page, site)
    page.get_by_role("button", name="three blue circles").click()
    expect(shown.field("prompt")).to_have_value("a photo of three blue circles")


def test_the_filmstrip_chooses_the_board(page: Page, site: str) -> None:
    shown = Explore(page, site)
    shown.open_step(1)
    expect(page.locator(".board h3").first).to_have_text("Step 2")
    expect(page.locator(".of-step:not(.away) > .plain")).to_contain_text("Not searched")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".board h3").first).to_have_text("Step 5")
    expect(shown.rows).to_have_count(5)
    expect(shown.cells.nth(4).locator("button")).to_have_attribute("aria-pressed", "true")


def test_elites_are_framed_the_best_marked_and_a_missing_number_told(page: Page, site: str, lab: FakeLab) -> None:
    shown = Explore(page, site)
    shown.open_step(5)
    expect(page.locator(".board h3").first).to_have_text("Step 6")
    view = lab.session_view(lab.recorded or "")
    assert view
    row = next(row for row in view["iterations"] if (row["step"], row["iteration"]) == (5, 1))
    candidates = shown.rows.nth(1).locator(".candidate")
    for index in range(5):
        framed = "elite" in (candidates.nth(index).get_attribute("class") or "")
        assert framed == (index in row["elites"])
    best = max((value, index) for index, value in enumerate(row["total"]) if value is not None)[1]
    expect(candidates.nth(best)).to_have_class(re.compile("best"))
    expect(shown.rows.nth(1).locator(".star")).to_have_count(1)
    expect(candidates.nth(2)).to_have_text("no number")
    expect(shown.rows.nth(1)).to_contain_text("1 without a score")


def test_an_iteration_says_what_its_rewards_cannot(page: Page, site: str) -> None:
    shown = Explore(page, site)
    shown.open_step(5)
    expect(shown.rows.nth(1).locator(".row-note")).to_have_text(re.compile("1 of 5 rewards are not finite"))
    expect(shown.rows.nth(0).locator(".row-note")).to_have_count(0)


def test_the_outcome_marks_whoever_is_highest(page: Page, site: str, lab: FakeLab) -> None:
    shown = Explore(page, site)
    view = lab.session_view(lab.recorded or "")
    assert view
    for name, line in (("shapes-clip", ".climbed"), ("shapes-verifier", ".watched")):
        best = max(view["arms"], key=lambda arm: arm["rewards"][name])["arm"]
        expect(page.locator(f".scores {line} .crown")).to_have_count(1)
        expect(page.locator(f".arm[data-arm='{best}'] {line} .crown")).to_have_count(1)
    expect(shown.cards.first).to_have_attribute("data-arm", "search")
    expect(shown.cards.first).to_contain_text("270 evaluations, 135 decoded, 4.2 s")
    expect(page.locator(".verdict")).to_contain_text("a reward it only watched")
    expect(page.locator(".verdict")).to_contain_text("One prompt and one seed")


def test_a_new_tab_has_the_usual_settings_and_a_session_in_the_address_its_own(page: Page, short: str) -> None:
    for query, preset, watched in (("", "smart-grpo", True), ("?session=s00001", "no-search", False)):
        shown = Explore(page, short, query)
        expect(shown.field("prompt")).to_have_value("a photo of a blue star")
        expect(shown.field("preset")).to_have_value(preset)
        shown.open_advanced()
        expect(page.get_by_label("Verifier")).to_be_checked(checked=watched)


def test_a_session_that_searched_nothing_is_not_called_a_search(page: Page, short: str) -> None:
    shown = Explore(page, short)
    expect(shown.cards.first.locator("h4")).to_have_text("This session")
    expect(shown.cards.first).to_contain_text("Nothing was searched: ordinary random noise.")
    expect(page.locator(".verdict")).to_contain_text("this session")
    expect(page.locator(".verdict")).not_to_contain_text("the search")


def test_a_blind_search_is_told_as_blind(page: Page, serve: Callable[[Any], str], tmp_path: Any) -> None:
    config = ExploreConfig("a photo of a blue star", search=PRESETS["random-elites"], arms=("ode",))
    shown = Explore(page, serve(FakeLab(tmp_path, recorded=config)))
    expect(page.locator(".legend")).to_contain_text("kept: 2 drawn blindly, whatever their rewards")
    expect(page.locator(".lead-in")).to_contain_text("which 2 are kept is drawn blindly")
    expect(page.locator(".inspector .numbers")).to_contain_text("not followed")
    for part in (".head", ".board", ".outcome"):
        expect(page.locator(part)).not_to_contain_text(re.compile("optimised|climb"))
    kept = shown.rows.nth(0).locator(".candidate.elite").first
    kept.click()
    expect(page.locator(".inspector .tags")).to_contain_text("kept (drawn blindly)")


def test_a_recording_is_not_called_the_newest_session(page: Page, serve: Callable[[Any], str], tmp_path: Any) -> None:
    lab = FakeLab(tmp_path)
    lab.sessions[lab.recorded or ""].view["job"] = None
    address = serve(lab)
    Explore(page, address)
    expect(page.locator(".notice.hint")).to_contain_text("A search that came with the lab")
    lab.came_with_lab = lambda record_id: False  # type: ignore[method-assign]  # as one from the command line
    Explore(page, address)
    expect(page.locator(".notice.hint")).to_contain_text("The newest finished session")


def test_a_waiting_session_names_who_is_ahead(page: Page, site: str, lab: FakeLab) -> None:
    ahead = lab._add(ExploreConfig("a photo of two red stars"))
    lab.sessions[ahead].view["state"] = "running"
    waiting = lab._add(ExploreConfig("a photo of a green square"))
    shown = Explore(page, site, f"?session={waiting}")
    shown.expect_state("pending")
    expect(shown.status).to_have_text("Waiting behind \u201ca photo of two red stars\u201d, which runs now.")
    for one in (ahead, waiting):
        lab.sessions[one].view["state"] = "cancelled"


def test_the_last_row_shows_what_the_chosen_noise_led_to(page: Page, site: str) -> None:
    shown = Explore(page, site)
    shown.open_step(5)
    used = page.locator(".board .of-step:not(.away) > .row.used")
    expect(used).to_contain_text("What the step led to with the noise that was chosen (the mean of the kept ones).")
    assert used.locator(".reward").inner_text() == shown.cells.nth(5).locator(".reward").inner_text()
    used.locator("button").click()
    expect(page.locator("dialog.lightbox[open]")).to_contain_text("Step 6, the noise that was used")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("dialog.lightbox[open]")).to_contain_text("Step 6, iteration 5, candidate 5")


def test_stop_after_the_end_is_no_error(lab: FakeLab) -> None:
    pressed = gr.EventData(None, {"record": lab.recorded, "kind": "cancel"})
    told, _ = ExplorePage(lab).command(pressed)  # type: ignore[arg-type]
    assert json.loads(told)["kind"] == "update"
    assert json.loads(told)["view"]["state"] == "succeeded"


def test_a_caution_is_told_quietly(page: Page, site: str, lab: FakeLab) -> None:
    assert lab.recorded
    lab.sessions[lab.recorded].view["caution"] = "<b>This reward</b> can be fooled."
    Explore(page, site)
    expect(page.locator(".notice.caution")).to_have_text("<b>This reward</b> can be fooled.")
    lab.sessions[lab.recorded].view["caution"] = None


def test_an_unknown_session_is_told_as_text(page: Page, site: str) -> None:
    Explore(page, site, "?session=%3Cimg%20src%3Dx%20onerror%3D'window.hit%3D1'%3E")
    expect(page.locator(".notice.bad")).to_contain_text("<img src=x onerror='window.hit=1'>")
    expect(page.locator(".notice.bad")).to_contain_text(
        "Shown instead: \u201ca photo of a red circle left of a blue star\u201d"
    )
    expect(page.locator(".film .cell")).to_have_count(10)
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_sticks_out_sideways(browser: Browser, site: str, width: int, theme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    shown = Explore(page, site)
    expect(shown.cells).to_have_count(10)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    dark = page.evaluate("getComputedStyle(document.querySelector('.panel')).backgroundColor") == "rgb(25, 27, 30)"
    assert dark == (theme == "dark")
    page.close()


def test_on_a_phone_a_run_is_scrolled_to_and_no_cell_is_cut(page: Page, site: str, unhurried: FakeLab) -> None:
    page.set_viewport_size({"width": 390, "height": 900})
    shown = Explore(page, site)
    expect(shown.cells).to_have_count(10)
    page.wait_for_function(
        "() => { const film = document.querySelector('.film'), wide = film.children[0].offsetWidth;"
        " return film.scrollLeft > 0 && Math.abs(film.scrollLeft / wide - Math.round(film.scrollLeft / wide)) < 0.03; }"
    )
    shown.run()
    page.wait_for_function("Math.abs(document.querySelector('.lab-session').getBoundingClientRect().top) < 40")
    shown.press("Stop")
    shown.expect_state("cancelled")


def test_an_empty_lab_says_so(page: Page, serve: Callable[[Any], str], tmp_path: Any) -> None:
    Explore(page, serve(FakeLab(tmp_path, recorded=None)))
    expect(page.locator(".empty")).to_contain_text("Press Run")


def test_run_over_http_without_a_browser(site: str, lab: FakeLab) -> None:
    client = Client(site, verbose=False)
    answer = client.predict(
        "a photo of a blue square", "smart-grpo", "shapes-sd3", "shapes-clip", "", "raw", ["shapes-verifier"], 4, 10,
        4.5, "sde", None, 0.3, 0.8, False, 5, 2, 0.48, "literal", "mean", "top", 0, "cem", "one_step", 1, ["ode"],
        32, 1, api_name="/run",
    )  # fmt: skip
    opened = json.loads(next(part for part in answer if isinstance(part, str) and '"kind":"open"' in part))
    started = lab.sessions[opened["view"]["id"]].config
    assert (started.seed, started.search.num_iterations, started.arms) == (4, 2, ("ode",))
    assert dict(started.rewards) == {"shapes-clip": 1.0, "shapes-verifier": 0.0}
