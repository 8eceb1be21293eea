"""The one cursor of page Explore: keys, clicks, the address, and following a running search."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Position, expect

from app.services import Lab
from app.settings import Settings
from core.config import ExploreConfig, SearchConfig
from tests.e2e.explore_page import Explore, standing, until_paused
from tests.e2e.fake_lab import FakeLab

WIDE = SearchConfig("wide", num_candidates=40, num_iterations=2)
LARGE = SearchConfig("large", num_candidates=100, num_iterations=4)  # at five steps: 2,000 candidates


@pytest.fixture(scope="module")
def wide(serve: Callable[[Any], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A site whose newest session tried 40 candidates an iteration at one step, and its starting noise."""
    config = ExploreConfig("a photo of a blue star", search=WIDE, search_initial=True, window_min=0.5, window_max=0.65)
    return serve(FakeLab(tmp_path_factory.mktemp("wide"), recorded=config))


@pytest.fixture(scope="module")
def large(serve: Callable[[Any], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A site whose newest session has 2,000 candidates, told step by step."""
    config = ExploreConfig("a photo of a blue star", search=LARGE, arms=())
    return serve(FakeLab(tmp_path_factory.mktemp("large"), recorded=config, detailed=500))


def test_thirty_presses_at_key_repeat_speed_move_thirty_places(page: Page, wide: str) -> None:
    shown = Explore(page, wide)
    shown.click_candidate(1, 1)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    shown.expect_at(6, 0, 0)
    for _ in range(30):
        page.keyboard.down("ArrowRight")
        page.wait_for_timeout(33)
    page.keyboard.up("ArrowRight")
    shown.expect_at(6, 0, 30)
    expect(page.locator(".inspector h4")).to_have_text("Iteration 1, candidate 31")
    page.wait_for_url(re.compile("at=6.0.30"))
    assert not [url for url in asked if "/gradio_api/" in url], "a move is no business of the server's"


def test_keys_move_only_while_the_board_has_the_focus(page: Page, wide: str) -> None:
    shown = Explore(page, wide)
    shown.click_candidate(2, 3)
    shown.expect_at(6, 1, 2)
    for key, place in (
        ("ArrowRight", (6, 1, 3)),
        ("ArrowUp", (6, 0, 3)),
        ("ArrowUp", (6, 0, 3)),
        ("End", (6, 0, 39)),
        ("Home", (6, 0, 0)),
    ):
        page.keyboard.press(key)
        shown.expect_at(*place)
    shown.field("prompt").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(200)
    shown.expect_at(6, 0, 0)
    page.locator(".board .rows").focus()
    assert page.locator(".board .rows").evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    page.keyboard.press("?")
    expect(page.locator("dialog.sheet")).to_contain_text("the timestep before")
    page.keyboard.press("Escape")
    expect(page.locator("dialog.sheet")).to_be_hidden()
    page.locator(".board .rows").evaluate("rows => rows.blur()")
    page.keyboard.press("?")
    expect(page.locator("dialog.sheet")).to_be_visible()


def test_brackets_go_through_the_timesteps_and_the_wish_is_kept(page: Page, site: str) -> None:
    shown = Explore(page, site)
    shown.open_step(5)
    shown.click_candidate(3, 2)
    page.keyboard.press("]")
    shown.expect_at(6, 2, 1)
    for _ in range(4):
        page.keyboard.press("]")
    expect(page.locator(".board h3").first).to_have_text("Step 10")
    expect(page.locator(".of-step:not(.away) > .plain")).to_contain_text("Not searched")
    for _ in range(3):
        page.keyboard.press("[")
    shown.expect_at(6, 2, 1)


def test_the_starting_noise_is_a_place_like_any_other(page: Page, wide: str) -> None:
    shown = Explore(page, wide)
    expect(shown.cells).to_have_count(11)
    expect(shown.cells.first).to_contain_text("x\u2081")
    shown.cells.first.locator("button").click()
    expect(page.locator(".board h3").first).to_have_text("Starting noise x\u2081")
    expect(shown.rows).to_have_count(2)
    shown.click_candidate(1, 5)
    page.wait_for_url(re.compile(r"at=-1\.0\.4"))


def test_what_was_followed_to_its_end_is_not_called_a_guess(page: Page, site: str, lab: FakeLab) -> None:
    search = {"num_candidates": 5, "num_iterations": 1, "elite_fraction": 0.2, "result": "best"}
    initial = {"search_initial": True, "window_min": 0.0, "window_max": 0.0, "estimator": "full", "arms": []}
    record = lab.start_session({"prompt": "a photo of a blue star", "search": search, **initial})
    shown = Explore(page, site, f"?session={record}")
    expect(page.locator(".lead-in")).to_contain_text(
        "follows each to the picture that it leads to without further noise"
    )
    expect(page.locator(".lead-in")).to_contain_text("own steps do add noise, so it may end elsewhere")
    shown.expect_state("succeeded")
    expect(page.locator(".film .cell").nth(7)).to_contain_text("Step 7")
    shown.cells.first.locator("button").click()
    expect(page.locator(".board")).to_contain_text("shown as the picture that it ends as without further noise")
    pair = page.locator(".inspector .pair").first
    expect(pair.locator("figcaption span")).to_have_text(["Its end, without noise", "Used, guessed in one step"])
    expect(page.locator(".inspector")).to_contain_text("The two numbers do not compare")
    expect(page.locator(".inspector")).not_to_contain_text(re.compile("(less|more) than this guess|made in one go"))


def where_dot(page: Page, lab: FakeLab, step: int, iteration: int, candidate: int) -> Position:
    """Where in its row's dots a candidate's lies: from 6 to 94% of the width by its reward among the step's."""
    rows = [row for row in (lab.session_view("s00001") or {})["iterations"] if row["step"] == step]
    known = [value for row in rows for value in row["total"] if value is not None]
    value = next(row for row in rows if row["iteration"] == iteration)["total"][candidate]
    box = page.locator(".of-step:not(.away) > .row .dots").first.bounding_box()
    assert box
    return {"x": box["width"] * (0.06 + 0.88 * (value - min(known)) / (max(known) - min(known))), "y": 14}


def test_clicks_and_charts_move_the_cursor(page: Page, site: str, lab: FakeLab) -> None:
    shown = Explore(page, site)
    page.evaluate("window.heard = []; addEventListener('lab:cursor', event => window.heard.push(event.detail))")
    shown.open_step(5)
    shown.rows.nth(3).locator(".row-name").click()
    expect(page.locator(".row.at")).to_have_attribute("data-iteration", "3")
    dots = shown.rows.nth(0).locator(".dots")
    dots.click(position=where_dot(page, lab, 5, 0, 4))
    shown.expect_at(5, 0, 4)
    expect(dots.locator("circle.at")).to_have_count(1)
    page.evaluate("dispatchEvent(new CustomEvent('lab:move', {detail: {step: 6, iteration: 2}}))")
    shown.expect_at(6, 2, 4)
    heard = page.evaluate("window.heard.at(-1)")
    assert (heard["session"], heard["step"], heard["iteration"], heard["candidate"]) == ("s00001", 6, 2, 4)


def test_a_link_reopens_the_same_view(browser: Browser, page: Page, site: str) -> None:
    shown = Explore(page, site)
    shown.open_step(7)
    shown.click_candidate(4, 5)
    page.wait_for_url(re.compile(r"session=s00001&at=7\.3\.4"))
    other = browser.new_page()
    again = Explore(other, page.url)
    again.expect_at(7, 3, 4)
    expect(other.locator(".board h3").first).to_have_text("Step 8")
    expect(other.locator(".inspector h4")).to_have_text("Iteration 4, candidate 5")
    other.close()


def test_a_link_outlives_the_server(browser: Browser, page: Page, serve: Callable[[Any], str], tmp_path: Path) -> None:
    before = Lab(Settings(tmp_path))
    shown = Explore(page, serve(before))
    shown.open_step(5)
    shown.click_candidate(2, 4)
    page.wait_for_url(re.compile(r"at=5\.1\.3"))
    query = page.url[page.url.index("?") :]
    before.close()
    other = browser.new_page()
    Explore(other, serve(Lab(Settings(tmp_path))), query).expect_at(5, 1, 3)
    other.close()


def test_a_place_that_does_not_exist_opens_the_nearest(page: Page, site: str) -> None:
    Explore(page, site, "?session=s00001&at=6.99.99").expect_at(6, 4, 4)
    Explore(page, site, "?session=s00001&at=<img src=x>")
    expect(page.locator(".candidate.at")).to_have_count(1)


def test_sorting_by_reward_changes_the_order_and_keys_follow_it(page: Page, site: str) -> None:
    shown = Explore(page, site)
    shown.open_step(6)
    page.get_by_role("button", name="by reward").click()
    told = [float(text) for text in shown.rows.nth(1).locator(".reward").all_inner_texts()]
    assert told == sorted(told, reverse=True)
    shown.rows.nth(1).locator(".candidate").first.click()
    page.keyboard.press("ArrowRight")
    second = shown.rows.nth(1).locator(".candidate").nth(1)
    expect(second).to_have_class(re.compile(r"\bat\b"))
    page.get_by_role("button", name="by index").click()
    expect(page.locator(".candidate.at")).to_have_count(1)


def test_the_mouse_and_a_key_show_all_numbers_of_a_candidate(page: Page, site: str, lab: FakeLab) -> None:
    shown = Explore(page, site)
    shown.open_step(6)
    shown.rows.nth(1).locator(".candidate").nth(3).hover()
    card = page.locator(".lab-popover:popover-open")
    view = lab.session_view(lab.recorded or "")
    assert view
    row = next(row for row in view["iterations"] if (row["step"], row["iteration"]) == (6, 1))
    rank = 1 + sum(value > row["total"][3] for value in row["total"])
    expect(card).to_contain_text(f"Candidate 4, rank {rank} of 5")
    for text in (f"{row['rewards']['shapes-verifier'][3]:.3f}", f"{row['norms'][3]:.3f}", f"{row['kurtosis'][3]:.2f}"):
        expect(card).to_contain_text(text)
    page.mouse.move(5, 5)
    expect(card).to_have_count(0)
    shown.click_candidate(2, 1)
    page.mouse.move(5, 5)
    page.keyboard.press("i")
    expect(card).to_contain_text("Candidate 1,")
    page.keyboard.press("ArrowRight")
    expect(card).to_contain_text("Candidate 2,")


def test_a_candidate_opens_large_and_its_arrows_move_the_cursor(page: Page, site: str) -> None:
    shown = Explore(page, site)
    shown.open_step(5)
    shown.click_candidate(2, 3)
    page.keyboard.press("Enter")
    large = page.locator("dialog.lightbox[open]")
    expect(large).to_contain_text("Step 6, iteration 2, candidate 3")
    expect(large).to_contain_text("Its reward is not a number")
    page.keyboard.press("ArrowRight")
    expect(large).to_contain_text("candidate 4")
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    shown.expect_at(5, 1, 3)
    page.locator(".inspector .pair button").nth(1).click()
    expect(large).to_contain_text("Step 6, the noise that was used")


def test_once_moved_nothing_moves_and_a_pill_counts_what_is_new(page: Page, site: str, lab: FakeLab) -> None:
    record = standing(lab, 3)
    shown = Explore(page, site, f"?session={record}")
    expect(shown.rows).to_have_count(3)
    expect(page.locator(".pill")).to_be_hidden()
    shown.click_candidate(1, 2)
    step, place, pill = (
        page.locator(".board h3").first.inner_text(),
        page.locator(".candidate.at"),
        page.locator(".pill"),
    )
    expect(pill).to_have_text("Follow live")
    page.mouse.wheel(0, 400)
    page.wait_for_timeout(300)
    top = place.bounding_box()
    for count in (5, 10, 10, 15):  # the third is the step itself, after its last iteration
        lab.command(record, "step")
        until_paused(lab, record)
        expect(pill).to_have_text(f"\u2193 {count} new candidates")
    expect(page.locator(".board h3").first).to_have_text(step)
    after = place.bounding_box()
    assert top and after and abs(top["y"] - after["y"]) < 1.5, "what is looked at has moved"
    page.wait_for_url(re.compile(r"at=\d+\.0\.1"))
    pill.click()
    expect(pill).to_be_hidden()
    expect(page.locator(".board h3").first).not_to_have_text(step)
    page.wait_for_url(lambda url: "at=" not in url)
    lab.command(record, "cancel")


def test_while_following_the_cursor_is_at_the_newest_iteration(page: Page, site: str, lab: FakeLab) -> None:
    record = standing(lab, 2)
    shown = Explore(page, site, f"?session={record}")
    for iteration in (1, 2):
        row = page.locator(f".row[data-iteration='{iteration}']")
        expect(row).to_have_class(re.compile(r"\bat\b"))
        expect(row.locator(".candidate.best")).to_have_class(re.compile(r"\bat\b"))
        lab.command(record, "step")
    shown.press("Stop")
    shown.expect_state("cancelled")


def test_leaving_and_coming_back_misses_and_doubles_nothing(browser: Browser, site: str, lab: FakeLab) -> None:
    record = standing(lab, 2)
    first = browser.new_page(viewport={"width": 1440, "height": 1000})
    expect(Explore(first, site, f"?session={record}").rows).to_have_count(2)
    first.close()
    lab.command(record, "step")
    until_paused(lab, record)
    second = browser.new_page(viewport={"width": 1440, "height": 1000})
    second.add_init_script("addEventListener('lab:view', event => { window.view = event.detail.view; })")
    again = Explore(second, site, f"?session={record}")
    expect(again.rows).to_have_count(3)
    again.press("Continue")
    again.expect_state("succeeded", 60_000)
    view = lab.session_view(record)
    assert view
    mine = second.evaluate("window.view")
    for name in ("iterations", "steps", "arms"):
        assert mine[name] == view[name], name
    for step in sorted({row["step"] for row in view["iterations"]}):
        again.open_step(step)
        expect(again.rows).to_have_count(5)
        expect(again.rows.locator(".candidate")).to_have_count(25)
    second.close()


def test_steps_that_are_not_in_the_view_are_fetched_once(page: Page, large: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/steps/" in request.url else None)
    shown = Explore(page, large)
    expect(shown.rows.first.locator(".candidate").first).to_be_visible()
    shown.open_step(4)
    expect(shown.rows).to_have_count(4)
    shown.open_step(6)
    shown.open_step(4)
    expect(shown.rows).to_have_count(4)
    assert sum(url.endswith("/steps/4") for url in asked) == 1


def test_many_candidates_are_folded_and_say_so(page: Page, large: str) -> None:
    shown = Explore(page, large)
    row = shown.rows.first
    expect(row.locator(".fold")).to_contain_text("The 20 highest of 100 are shown")
    before = row.locator(".candidate").count()
    row.get_by_role("button", name=f"Show the other {100 - before}").click()
    expect(row.locator(".candidate")).to_have_count(100)
    drawn = row.locator(".dots .dot").evaluate_all("all => all.map(one => one.getAttribute('d')).join('')")
    assert drawn.count("M") == 100


def test_a_move_among_2000_candidates_makes_nothing_anew(page: Page, large: str) -> None:
    """How long it takes is the benchmark `move_to_paint`'s to say; here is why it can be quick."""
    shown = Explore(page, large)
    for row in range(4):
        shown.rows.nth(row).locator(".fold button").click()
    shown.click_candidate(1, 1)
    made = page.evaluate(
        """async () => {
          const rows = document.querySelector('.board .rows'), made = [];
          const watch = new MutationObserver(seen => seen.forEach(one => made.push(...one.addedNodes)));
          watch.observe(rows, {childList: true, subtree: true});
          const keys = ['ArrowRight', 'ArrowDown', 'ArrowRight', 'ArrowRight', 'ArrowUp', 'ArrowRight'];
          for (let i = 0; i < 60; i += 1) {
            rows.dispatchEvent(new KeyboardEvent('keydown', {key: keys[i % keys.length], bubbles: true}));
            await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
          }
          watch.disconnect();
          return made.map(node => `${node.localName} ${node.getAttribute('class')}`);
        }"""
    )
    assert 50 <= len(made) <= 60 and {name.split(" ")[1] for name in made} == {"at"}, made[:6]
