"""Finishing candidates, and keeping candidates by hand, on page Explore."""

import re
from typing import Any

import gradio as gr
from playwright.sync_api import Page, expect

from app.ui.explore import ExplorePage
from tests.e2e.explore_page import Explore, standing
from tests.e2e.fake_lab import FakeLab


def row_of(lab: FakeLab, record: str, step: int, iteration: int) -> dict[str, Any]:
    view = lab.session_view(record)
    assert view
    return next(row for row in view["iterations"] if (row["step"], row["iteration"]) == (step, iteration))


def test_a_candidate_is_finished_and_the_promise_told(page: Page, site: str, lab: FakeLab) -> None:
    assert lab.recorded
    shown = Explore(page, site, f"?session={lab.recorded}&at=6.2.1")
    page.get_by_role("button", name="Finish from here").click()
    expect(page.locator(".inspector .finish")).to_be_disabled()
    expect(page.locator(".candidate.at .sign")).to_have_class(re.compile("waiting"))
    expect(page.locator(".truth")).to_be_visible()
    view = lab.session_view(lab.recorded)
    assert view
    done = next(one for one in view["finishes"] if (one["step"], one["iteration"], one["candidate"]) == (6, 2, 1))
    guess = row_of(lab, lab.recorded, 6, 2)["total"][1]
    told = f"The guess promised {guess:.3f}; the finished picture has {done['total']:.3f}, "
    expect(page.locator(".truth .promise")).to_have_text(f"{told}{round(guess, 3) - round(done['total'], 3):.3f} less.")
    expect(page.locator(".truth img")).to_have_count(2)
    assert done["image"] in (page.locator(".truth img").nth(1).get_attribute("src") or "")
    expect(page.locator(".candidate.at .sign")).to_have_text(f"{done['total']:.2f}")
    page.locator(".truth .frame").nth(1).click()
    expect(page.locator("dialog.lightbox[open]")).to_contain_text("candidate 2, finished")
    page.keyboard.press("Escape")
    page.locator(".board .rows").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".truth")).to_be_hidden()
    shown.expect_at(6, 2, 0)


def test_a_whole_iteration_is_finished(page: Page, site: str, lab: FakeLab) -> None:
    assert lab.recorded
    shown = Explore(page, site, f"?session={lab.recorded}&at=7.1.0")
    row = shown.rows.nth(1)
    row.get_by_role("button", name="Finish all 5 of this iteration").click()
    expect(row.locator(".busy")).to_be_visible()
    expect(row.locator(".promise")).to_contain_text("All 5 finished: the guesses promised")
    expect(row.locator(".sign:not(.waiting)")).to_have_count(5)
    expect(row.locator(".finish-all")).to_have_count(0)
    page.reload()
    expect(shown.rows.nth(1).locator(".sign:not(.waiting)")).to_have_count(5)


def test_a_refused_finish_is_told_and_can_be_tried_again(page: Page, site: str, lab: FakeLab) -> None:
    Explore(page, site, f"?session={lab.recorded}&at=4.1.0")
    page.evaluate("() => { window.fetch = () => Promise.reject(new TypeError('gone')); }")
    page.get_by_role("button", name="Finish from here").click()
    expect(page.locator(".notice.bad")).to_contain_text("The lab does not answer")
    expect(page.get_by_role("button", name="Finish from here")).to_be_enabled()


def test_elites_are_chosen_by_hand(page: Page, site: str, lab: FakeLab) -> None:
    record = standing(lab, 2)
    shown = Explore(page, site, f"?session={record}")
    page.get_by_role("button", name="Choose the kept ones yourself", exact=True).click()
    chooser = page.locator(".chooser")
    expect(chooser).to_contain_text("tick the candidates")
    newest = page.locator(".board .row:has(.ticking)")
    expect(newest).to_have_count(1)
    iteration = int(newest.get_attribute("data-iteration") or "")
    step = int(re.findall(r"\d+", page.locator(".board h3").first.inner_text())[0]) - 1
    usual = row_of(lab, record, step, iteration)["elites"]
    ticked = newest.locator(".candidate[aria-selected='true']")
    expect(ticked).to_have_count(len(usual))
    for index in usual:
        newest.locator(".candidate").nth(index).click()
    expect(chooser.get_by_role("button", name="Keep these and go on")).to_be_disabled()
    mine = [index for index in range(5) if index not in usual][:3]
    for index in mine:
        newest.locator(".candidate").nth(index).click()
    page.keyboard.press("Space")
    page.keyboard.press("Space")
    expect(ticked).to_have_count(3)
    newest.locator(".candidate").first.hover()
    page.wait_for_timeout(400)  # a card comes after 140 ms
    expect(page.locator(".lab-popover:popover-open")).to_have_count(0)
    expect(page.locator(".pill")).to_be_hidden()
    chooser.get_by_role("button", name="then pause again").click()
    expect(shown.rows).to_have_count(iteration + 2)
    assert row_of(lab, record, step, iteration)["elites"] == mine
    chosen = page.locator(f".row[data-iteration='{iteration}']")
    expect(chosen.locator(".by-hand")).to_have_text("kept by hand")
    expect(chosen.locator(".candidate.elite")).to_have_count(3)
    expect(page.locator(".board .key.elite")).to_contain_text(
        "kept: chosen by hand where a row says so, else the best 2"
    )
    assert [kind for one, kind in lab.commands if one == record][-2:] == ["elites", "step"]
    shown.press("Stop")
    shown.expect_state("cancelled")


def test_choosing_in_a_running_session_pauses_it_first(page: Page, site: str, lab: FakeLab) -> None:
    record = standing(lab, 2)
    shown = Explore(page, site, f"?session={record}")
    lab.sessions[record].view |= {"state": "running", "seq": lab.sessions[record].view["seq"] + 1}
    page.get_by_role("button", name="Pause and choose the kept ones yourself").click()
    expect(page.locator(".board .row:has(.ticking)")).to_have_attribute("data-iteration", "2")
    page.get_by_role("button", name="Leave it to the search").click()
    expect(page.locator(".ticking")).to_have_count(0)
    shown.press("Stop")
    shown.expect_state("cancelled")


def test_a_choice_that_comes_too_late_is_refused_and_nothing_goes_on(lab: FakeLab) -> None:
    config = {"prompt": "a photo of a red star", "rewards": {"shapes-clip": 1.0}}
    record = lab.start_session(config)
    lab.command(record, "cancel")
    before = len(lab.commands)
    chosen = {"record": lab.recorded, "kind": "elites", "step": 5, "iteration": 0, "payload": {"elites": [0]}}
    ExplorePage(lab).command(gr.EventData(None, chosen | {"then": "continue"}))  # type: ignore[arg-type]
    assert len(lab.commands) == before
