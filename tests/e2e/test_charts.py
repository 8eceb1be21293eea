"""The charts as a person meets them on page Explore: they obey the page's one cursor, and move it."""

import re
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from app import plotly_js
from tests.e2e.explore_page import Explore
from tests.e2e.fake_lab import FakeLab

DRAWN = ["reward", "trail", "norm", "spread", "cosine", "kurtosis", "noise", "cost"]


def chart(page: Page, name: str) -> Locator:
    return page.locator(f".chart[data-chart={name}]")


def opened(page: Page, site: str, query: str = "?session=s00001&at=5.1.0") -> Explore:
    """Explore with its charts drawn."""
    shown = Explore(page, site, query)
    page.locator(".charts").scroll_into_view_if_needed()
    expect(page.locator(".charts[data-drawn]")).to_be_visible()
    return shown


def centre(dot: Locator) -> tuple[float, float]:
    """Where a part of a chart lies in the window."""
    box = dot.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def click(dot: Locator) -> tuple[float, float]:
    """Click where a dot is drawn, which Plotly listens for above all dots; returns where."""
    dot.scroll_into_view_if_needed()
    x, y = centre(dot)
    dot.page.mouse.click(x, y)
    return x, y


def test_every_chart_is_drawn_with_a_heading_that_says_what_is_seen(page: Page, site: str) -> None:
    opened(page, site)
    for name in DRAWN:
        expect(chart(page, name).locator(".main-svg").first).to_be_visible()
        expect(chart(page, name).locator("h4")).not_to_be_empty()
    expect(chart(page, "reward").locator("h4")).to_contain_text("the mean ")
    expect(page.get_by_role("heading", name="What the search does to its noise")).to_be_visible()
    # one of the step's 25 candidates has no number; the others are dots, the kept ones filled
    expect(chart(page, "reward").locator(".points path")).to_have_count(24)
    expect(chart(page, "reward").locator(".chart-note")).to_have_text("1 without a number is not shown.")


def test_plotly_comes_only_when_the_charts_do(browser: Browser, site: str) -> None:
    context = browser.new_context(viewport={"width": 1000, "height": 300})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    Explore(page, site, "?session=s00001&at=5.1.0")
    assert not [url for url in asked if "plotly" in url or "/figures" in url]
    page.locator(".charts").scroll_into_view_if_needed()
    expect(page.locator(".charts[data-drawn]")).to_be_visible()
    assert len([url for url in asked if url == site + plotly_js.address()]) == 1
    context.close()


def test_a_click_on_a_dot_moves_the_pages_cursor(page: Page, site: str) -> None:
    shown = opened(page, site)
    x, y = click(chart(page, "reward").locator(".points path").nth(7))
    expect(page.locator(".candidate.at")).not_to_have_id("candidate-5-1-0")
    shown_id = page.locator(".candidate.at").get_attribute("id") or ""
    assert re.fullmatch(r"candidate-5-\d-\d", shown_id)
    ring = centre(chart(page, "reward").locator(".chart-ring"))
    assert ring == pytest.approx((x, y), abs=1.5)
    step = chart(page, "trail").locator(".chart-rule").bounding_box()
    click(chart(page, "noise").locator(".points path").nth(6))  # the seventh step's
    expect(page.locator(".candidate.at")).to_have_id(re.compile(r"candidate-6-"))
    after = chart(page, "trail").locator(".chart-rule").bounding_box()
    assert step and after and after["x"] > step["x"] + 10
    expect(shown.page).to_have_url(re.compile(r"at=6\."))


def test_thirty_moves_draw_the_cursor_and_ask_the_server_nothing(page: Page, site: str) -> None:
    opened(page, site)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/figures" in request.url else None)
    page.locator(".board [role=grid]").focus()
    ring, seen = chart(page, "reward").locator(".chart-ring"), set()
    for key in (["ArrowRight"] * 4 + ["ArrowLeft"] * 4) * 3 + ["ArrowDown"] * 3 + ["ArrowUp"] * 3:
        page.keyboard.press(key)
        seen.add((page.locator(".candidate.at").get_attribute("id"), ring.is_visible()))
    assert len(seen) >= 8
    assert not asked
    page.wait_for_timeout(100)
    dots = [centre(dot) for dot in chart(page, "reward").locator(".points path").all()]
    at = centre(ring)
    assert min(abs(at[0] - x) + abs(at[1] - y) for x, y in dots) < 2  # the ring lies around a dot


def test_a_candidate_without_a_number_has_no_ring_but_its_iteration(page: Page, site: str) -> None:
    opened(page, site, "?session=s00001&at=5.1.2")
    expect(chart(page, "reward").locator(".chart-rule")).to_be_visible()
    expect(chart(page, "reward").locator(".chart-ring")).to_be_hidden()
    expect(chart(page, "norm").locator(".chart-ring")).to_be_visible()


def test_another_step_brings_its_own_charts_and_one_without_a_search_says_why(page: Page, site: str) -> None:
    opened(page, site)
    title = chart(page, "noise").locator("h4")
    expect(title).to_contain_text("Step 6 adds")
    page.locator(".board [role=grid]").focus()
    page.keyboard.press("]")
    expect(title).to_contain_text("Step 7 adds")
    page.locator(".film .cell").first.locator("button").first.click()
    expect(page.locator(".chart-why")).to_contain_text("Step 1 is not searched, so it has no candidates to chart.")
    expect(chart(page, "reward")).to_be_hidden()
    expect(chart(page, "trail")).to_be_visible()
    page.locator(".chart-why button").click()
    expect(chart(page, "reward")).to_be_visible()
    expect(page.locator(".chart-why")).to_be_hidden()


def test_of_two_steps_asked_for_the_later_one_is_shown(page: Page, site: str) -> None:
    opened(page, site)

    def late(route: Route) -> None:
        time.sleep(1)
        route.continue_()

    page.route("**/figures?step=6**", late)
    page.locator(".board [role=grid]").focus()
    with page.expect_request("**/figures?step=6**"):
        page.keyboard.press("]")
    page.keyboard.press("]")
    expect(chart(page, "noise").locator("h4")).to_contain_text("Step 8 adds")
    page.wait_for_timeout(1500)
    expect(chart(page, "noise").locator("h4")).to_contain_text("Step 8 adds")


def test_a_watched_reward_can_be_chosen(page: Page, site: str) -> None:
    opened(page, site)
    picker = page.get_by_label("Reward to show")
    expect(picker.locator("option")).to_have_count(2)
    picker.select_option(index=1)
    expect(chart(page, "reward").locator("h4")).to_contain_text("erifier")
    expect(chart(page, "reward").locator(".chart-key")).not_to_contain_text("Lowest kept")


def test_the_same_data_as_tables_by_keyboard_alone(page: Page, site: str) -> None:
    opened(page, site)
    toggle = page.get_by_role("button", name="Show as tables")
    toggle.focus()
    page.keyboard.press("Enter")
    tables = chart(page, "reward").locator("table")
    expect(tables).to_have_count(2)
    expect(tables.nth(0).locator("tbody tr")).to_have_count(5)
    expect(tables.nth(0).locator("tr.here th")).to_have_text("2")
    expect(tables.nth(1).locator("caption")).to_have_text("Candidates of iteration 2")
    expect(tables.nth(1).locator("tbody tr")).to_have_count(4)
    fourth = tables.nth(0).locator("tbody button").nth(3)
    fourth.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".candidate.at")).to_have_id("candidate-5-3-0")
    expect(tables.nth(1).locator("caption")).to_have_text("Candidates of iteration 4")
    expect(tables.nth(0).locator("tbody button").nth(3)).to_be_focused()
    expect(chart(page, "norm").locator("table").first.locator("tbody tr")).to_have_count(6)  # five and the one used
    page.get_by_role("button", name="Show as charts").click()
    expect(chart(page, "reward").locator(".points path")).to_have_count(24)


def test_a_chart_can_be_saved_as_svg_for_white_paper(page: Page, site: str, tmp_path: Path) -> None:
    opened(page, site, "?session=s00001&at=5.1.0&__theme=dark")
    chart(page, "trail").hover()
    with page.expect_download() as came:
        chart(page, "trail").locator(".chart-save").click()
    assert came.value.suggested_filename == "noise-search-trail.svg"
    kept = tmp_path / "trail.svg"
    came.value.save_as(kept)
    text = kept.read_text()
    ElementTree.fromstring(text)
    title = chart(page, "trail").locator("h4").inner_text()
    assert title in text and "Random elites" in text
    assert "rgb(12, 116, 107)" in text and "rgb(76, 195, 181)" not in text  # the light page's accent


def test_dark_pages_get_dark_charts(page: Page, site: str) -> None:
    opened(page, site, "?session=s00001&at=5.1.0&__theme=dark")
    line = chart(page, "cosine").locator(".js-line").first
    assert "rgb(76, 195, 181)" in (line.get_attribute("style") or "")
    page.evaluate("document.body.classList.remove('dark')")
    expect(line).to_have_attribute("style", re.compile(r"rgb\(12, 116, 107\)"))


def test_on_a_phone_charts_fit_and_the_page_does_not_scroll_sideways(browser: Browser, site: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    opened(page, site)
    for name in DRAWN:
        box = chart(page, name).locator(".chart-plot").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390, name
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_a_growing_session_is_redrawn_at_a_calm_pace_and_ends_complete(page: Page, site: str, lab: FakeLab) -> None:
    shown = opened(page, site)
    asked: list[float] = []
    page.on("request", lambda request: asked.append(time.monotonic()) if "/figures" in request.url else None)
    page.locator("#run").scroll_into_view_if_needed()
    record = shown.run()
    page.locator(".charts").scroll_into_view_if_needed()
    shown.expect_state("succeeded", 60_000)
    view = lab.session_view(record)
    assert view
    expect(page.locator(".charts")).to_have_attribute("data-drawn", re.compile(rf"^{record} .* {view['seq']}$"))
    gaps = [late - early for early, late in zip(asked, asked[1:], strict=False)]
    steps = len({row["step"] for row in view["iterations"]}) + 1
    assert len([gap for gap in gaps if gap < 0.9]) <= steps + 1  # only a new step is asked for sooner than a second


def test_charts_out_of_sight_are_brought_up_to_date(page: Page, site: str) -> None:
    shown = opened(page, site)
    page.set_viewport_size({"width": 1440, "height": 500})
    shown.cells.nth(6).scroll_into_view_if_needed()
    shown.open_step(6)
    expect(page.locator(".charts.stale")).to_have_count(1)
    expect(page.locator(".charts")).to_have_attribute("data-drawn", re.compile(r"^s00001 6 "))
    expect(page.locator(".charts.stale")).to_have_count(0)
    expect(page.locator(".charts")).not_to_be_in_viewport()


def test_charts_that_cannot_be_had_say_so_and_leave_the_page_alone(
    browser: Browser, serve: Callable[[Any], str], tmp_path: Path
) -> None:
    site = serve(FakeLab(tmp_path))
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.route("**/figures?**", lambda route: route.fulfill(status=422, json={"detail": "The charts are on holiday."}))
    Explore(page, site)
    page.locator(".charts").scroll_into_view_if_needed()
    expect(page.locator(".chart-trouble")).to_have_text("The charts are on holiday.")
    expect(page.locator(".candidate").first).to_be_visible()
    context.close()
