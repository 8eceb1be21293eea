"""The queue beside every page: what it shows, what may be done to it, and what the tab's title and icon tell."""

import re
from urllib.parse import unquote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.kept import Kept

HIDE = """hidden => {
    Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.fixture
def three(kept: Kept) -> Kept:
    """Three sessions wait."""
    for colour in ("red", "green", "blue"):
        kept.waiting(f"a photo of a {colour} circle")
    return kept


def drawer(page: Page) -> Locator:
    page.locator(".queue-button").click()
    return page.get_by_role("dialog", name="Queue")


def job(place: Locator, colour: str) -> Locator:
    return place.locator(".job").filter(has_text=f"{colour} circle")


def waiting(place: Locator) -> Locator:
    return place.get_by_role("region", name="Waiting").locator(".title")


def press(place: Locator, label: str) -> None:
    place.get_by_role("button", name=label, exact=True).click()


def icon(page: Page) -> str:
    return unquote(page.locator("link[rel='icon']").get_attribute("href") or "")


@pytest.mark.parametrize("path", ["", "library", "status"])
def test_every_page_has_the_way_to_the_others_and_the_queue(page: Page, address: str, three: Kept, path: str) -> None:
    page.goto(address + path)
    links = page.get_by_role("navigation", name="Pages").get_by_role("link")
    expect(links.first).to_have_text("Explore")
    assert {"Library", "Status"} <= set(links.all_inner_texts())
    here = page.locator(".lab-masthead [aria-current='page']")
    expect(here).to_have_text((path or "explore").capitalize())
    expect(page.locator(".queue-button .count")).to_have_text("3")
    opened = drawer(page)
    expect(waiting(opened)).to_have_count(3)
    page.keyboard.press("Escape")
    expect(opened).to_be_hidden()
    expect(page.locator(".queue-button")).to_be_focused()


def test_an_empty_queue_says_what_will_be_in_it(page: Page, address: str, kept: Kept) -> None:
    page.goto(f"{address}status")
    expect(page.locator(".queue-button .count")).to_be_hidden()
    expect(drawer(page)).to_contain_text("Nothing runs and nothing waits.")


def test_a_run_shows_its_progress_and_leads_to_its_session(page: Page, address: str, three: Kept) -> None:
    running = three.run_next()
    page.goto(f"{address}library")
    opened = drawer(page)
    shown = opened.get_by_role("region", name="Running").locator(".job")
    expect(shown.locator(".line")).to_contain_text(re.compile(r"Running \u00b7 \d+%"))
    expect(shown.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"\d+"))
    expect(job(opened, "green").locator(".line")).to_have_text("Next")
    expect(job(opened, "blue").locator(".line")).to_have_text("Number 2")
    shown.locator(".title").click()
    page.wait_for_url(re.compile(rf"/\?session={running}"))
    expect(page.locator(".lab-session[data-state='running']")).to_be_visible()


def test_the_order_is_changed_by_buttons(page: Page, address: str, three: Kept) -> None:
    page.goto(f"{address}library")
    opened = drawer(page)
    expect(job(opened, "red").get_by_role("button", name="Earlier")).to_be_disabled()
    expect(job(opened, "blue").get_by_role("button", name="Later")).to_be_disabled()
    press(job(opened, "blue"), "Earlier")
    expect(waiting(opened)).to_have_text([re.compile(colour) for colour in ("red", "blue", "green")])
    expect(job(opened, "blue").get_by_role("button", name="Earlier")).to_be_focused()
    press(job(opened, "red"), "Later")
    expect(waiting(opened)).to_have_text([re.compile(colour) for colour in ("blue", "red", "green")])
    assert [prompt.split()[4] for prompt in three.queued()] == ["blue", "red", "green"]


def test_the_order_is_changed_by_dragging(page: Page, address: str, three: Kept) -> None:
    page.goto(f"{address}library")
    opened = drawer(page)
    job(opened, "blue").drag_to(job(opened, "red"))
    expect(waiting(opened)).to_have_text([re.compile(colour) for colour in ("blue", "red", "green")])
    assert [prompt.split()[4] for prompt in three.queued()] == ["blue", "red", "green"]


def test_a_waiting_job_is_cancelled_and_tried_again(page: Page, address: str, three: Kept) -> None:
    page.goto(f"{address}library")
    opened = drawer(page)
    press(job(opened, "green"), "Cancel")
    expect(waiting(opened)).to_have_count(2)
    ended = opened.get_by_role("region", name="Recently ended").locator(".job")
    expect(ended.locator(".line")).to_have_text("Stopped")
    expect(page.locator(".queue-button .count")).to_have_text("2")
    press(ended, "Try again")
    expect(waiting(opened)).to_have_count(3)
    assert [prompt.split()[4] for prompt in three.queued()] == ["red", "blue", "green"]


def test_a_failed_job_says_why(page: Page, address: str, three: Kept) -> None:
    three.end(three.run_next(), "failed", "the model <b>burnt</b>")
    page.goto(f"{address}library")
    ended = drawer(page).get_by_role("region", name="Recently ended").locator(".job")
    expect(ended.locator(".line")).to_have_text("Failed")
    expect(ended.locator(".error")).to_have_text("the model <b>burnt</b>")
    expect(ended.get_by_role("button", name="Try again")).to_be_visible()


def test_a_running_job_is_stopped_and_a_paused_one_is_shown(page: Page, address: str, three: Kept) -> None:
    three.pause(three.run_next())
    three.run_next()
    page.goto(f"{address}library")
    opened = drawer(page)
    expect(job(opened, "red").locator(".line")).to_have_text("Paused")
    press(job(opened, "green"), "Stop")
    expect(job(opened, "green").get_by_role("button", name="Stop")).to_be_disabled()
    press(job(opened, "red"), "Stop")
    expect(opened.get_by_role("region", name="Recently ended").locator(".title")).to_have_count(1)


def test_a_refusal_is_told_in_the_drawer(page_with_errors: Page, address: str, three: Kept) -> None:
    page = page_with_errors
    page.goto(f"{address}library")
    opened = drawer(page)
    expect(waiting(opened)).to_have_count(3)
    page.route("**/lab/api/queue", lambda route: route.abort())  # what it shows grows old
    three.end(three.run_next())
    press(job(opened, "red"), "Cancel")
    page.unroute("**/lab/api/queue")
    expect(opened.get_by_role("alert")).to_contain_text("this has ended already")


def test_a_lab_that_is_gone_is_told_and_found_again(page_with_errors: Page, address: str, three: Kept) -> None:
    page = page_with_errors
    page.route("**/lab/api/queue", lambda route: route.abort())
    page.goto(f"{address}library")
    opened = drawer(page)
    expect(opened.get_by_role("alert")).to_contain_text("The lab does not answer")
    page.unroute("**/lab/api/queue")
    expect(waiting(opened)).to_have_count(3)
    expect(opened.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize("path", ["", "status"])
def test_title_and_icon_tell_that_a_run_goes_on(page: Page, address: str, kept: Kept, path: str) -> None:
    page.goto(address + path)
    expect(page).to_have_title(re.compile(r"^(Status - )?Noise Search Lab$"))
    expect(page.locator(".queue-button")).to_be_visible()
    idle = icon(page)
    assert idle.startswith("data:image/svg+xml,<svg")
    kept.waiting("a photo of a red circle")
    kept.run_next()
    expect(page).to_have_title(re.compile(r"^\d+% - (Status - )?Noise Search Lab$"))
    assert "dasharray" in icon(page) != idle
    expect(page.locator("link[rel~='icon']")).to_have_count(1)


@pytest.mark.parametrize(("status", "word"), [("succeeded", "Finished"), ("failed", "Failed")])
def test_an_end_that_nobody_saw_is_told_until_the_tab_is_looked_at(
    page: Page, address: str, kept: Kept, status: str, word: str
) -> None:
    kept.waiting("a photo of a red circle")
    running = kept.run_next()
    page.goto(f"{address}status")
    expect(page).to_have_title(re.compile(r"^\d+% - Status"))
    page.evaluate(HIDE, True)
    kept.end(running, status)
    expect(page).to_have_title(f"{word} - Status - Noise Search Lab")
    assert "<path" in icon(page)
    page.evaluate(HIDE, False)
    expect(page).to_have_title("Status - Noise Search Lab")
    assert "<path" not in icon(page)


def test_a_hidden_page_asks_for_nothing_while_nothing_lives(page: Page, address: str, kept: Kept) -> None:
    page.goto(f"{address}status")
    expect(page.locator(".queue-button")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/queue" in request.url else None)
    page.evaluate(HIDE, True)
    page.wait_for_timeout(6000)
    assert not asked
    kept.waiting("a photo of a red circle")
    page.evaluate(HIDE, False)
    expect(page.locator(".queue-button .count")).to_have_text("1")
    page.wait_for_timeout(3500)
    assert 3 <= len(asked) <= 7, "about one a second while a job lives"


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("path", ["", "library"])
def test_the_drawer_fits(page: Page, address: str, kept: Kept, width: int, path: str) -> None:
    for _ in range(12):
        kept.waiting("long" * 200)
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(address + path)
    opened = drawer(page)
    expect(waiting(opened)).to_have_count(12)
    assert opened.evaluate("node => node.scrollWidth <= node.clientWidth && node.scrollHeight > node.clientHeight")
    box = opened.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] == width
    button = opened.locator(".job").last.get_by_role("button", name="Cancel").bounding_box()
    assert button and button["x"] + button["width"] <= width
