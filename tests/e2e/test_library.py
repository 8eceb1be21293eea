"""Page Library over a real lab: what is there, what is found, what is changed, thrown away and taken back."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.kept import Kept

HOSTILE = "<img src=x onerror=\"document.title='taken'\"> & \u202e \"'</script><script>document.title='taken'</script>"


def row(page: Page, text: str) -> Locator:
    return page.locator(".record").filter(has_text=text)


def titles(page: Page) -> list[str]:
    return page.locator(".record .title").all_inner_texts()


def press(place: Locator, label: str) -> None:
    place.get_by_role("button", name=label, exact=True).click()


def test_an_empty_library_says_what_will_be_in_it(page: Page, address: str) -> None:
    page.goto(f"{address}library")
    expect(page.get_by_role("heading", name="Nothing has run here yet")).to_be_visible()
    page.get_by_role("link", name="Start a first search").click()
    expect(page.locator("#run")).to_be_visible()
    page.goto(f"{address}library?trash=1")
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    page.goto(f"{address}library?star=1")
    expect(page.get_by_role("heading", name="Nothing is starred")).to_be_visible()
    expect(page.locator(".record")).to_have_count(0)


def test_a_record_shows_what_it_is_and_how_it_went(page: Page, address: str, kept: Kept) -> None:
    won = kept.finished("a photo of a red circle", name="Figure 2", rewards={"search": 0.77, "no_search": 0.684})
    kept.finished("a photo of a blue star", preset="best-of-k", rewards={"search": 0.5, "no_search": 0.52, "ode": 0.6})
    page.goto(f"{address}library")
    shown = row(page, "Figure 2")
    expect(shown.locator(".prompt")).to_have_text("a photo of a red circle")
    expect(shown.locator(".meta")).to_have_text("smart-grpo \u00b7 Shapes (embedded)")
    expect(shown.locator(".reward")).to_contain_text("0.770")
    expect(shown.locator(".reward .up")).to_have_text("+0.086 over no search")
    expect(shown.locator(".chip-state")).to_have_text("Finished")
    expect(shown.locator(".state")).to_contain_text("took 6.5 s")
    assert shown.locator(".thumb img").evaluate("image => image.naturalWidth") == 16
    other = row(page, "blue star")
    expect(other.locator(".reward")).to_contain_text("0.020 below no search")
    expect(other.locator(".reward .rank")).to_have_text("number 3 of 3")
    shown.locator(".title").click()
    page.wait_for_url(re.compile(rf"/\?session={won}"))
    expect(page.locator(".lab-session .prompt").first).to_contain_text("a photo of a red circle")


def test_a_measurement_is_listed_for_what_it_is(page: Page, address: str, kept: Kept) -> None:
    measured = kept.measured("a photo of a red circle")
    page.goto(f"{address}library")
    shown = page.locator(f".record[data-id='{measured}']")
    expect(shown.locator(".meta")).to_have_text("Reliability measurement \u00b7 Shapes (embedded)")
    expect(shown.locator(".reward")).to_be_hidden()
    assert "session=" not in (shown.locator(".title").get_attribute("href") or ""), "Explore cannot open it"


def test_words_and_filters_find_and_are_kept_in_the_address(page: Page, address: str, kept: Kept) -> None:
    kept.finished("a photo of a red circle", star=True, note="for the talk")
    kept.finished("a photo of a blue star", preset="best-of-k")
    kept.waiting("a photo of two red squares")
    page.goto(f"{address}library")
    expect(page.locator(".record")).to_have_count(3)
    page.get_by_label("Search").fill("red")
    expect(page.locator(".record")).to_have_count(2)
    page.wait_for_url(re.compile(r"text=red"))
    page.get_by_label("State").select_option("pending")
    expect(page.locator(".record .title")).to_have_text(["a photo of two red squares"])
    page.reload()
    expect(page.get_by_label("Search")).to_have_value("red")
    expect(page.locator(".record .title")).to_have_text(["a photo of two red squares"])
    page.go_back()
    expect(page.locator(".record")).to_have_count(2)
    page.get_by_label("Search").fill("talk")
    expect(page.locator(".record .title")).to_have_text(["a photo of a red circle"])
    page.get_by_label("Search").fill("nothing has this")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.get_by_role("button", name="Show everything").click()
    expect(page.locator(".record")).to_have_count(3)
    page.get_by_label("Preset").select_option("best-of-k")
    expect(page.locator(".record .title")).to_have_text(["a photo of a blue star"])
    page.get_by_label("Preset").select_option("")
    page.get_by_role("button", name="Starred").click()
    expect(page.locator(".record .title")).to_have_text(["a photo of a red circle"])
    page.wait_for_url(re.compile(r"star=1"))


def test_sorting_goes_by_reward_and_by_cost(page: Page, address: str, kept: Kept) -> None:
    for name, reward, seconds in (("low", 0.1, 9.0), ("none", None, 5.0), ("high", 0.9, 1.0)):
        kept.finished(name, rewards={"search": reward} if reward else {}, seconds=seconds)
    page.goto(f"{address}library")
    expect(page.locator(".record .title")).to_have_text(["high", "none", "low"])
    page.get_by_label("Sort").select_option("reward")
    expect(page.locator(".record .title")).to_have_text(["high", "low", "none"])
    page.get_by_label("Sort").select_option("cost")
    expect(page.locator(".record .title")).to_have_text(["low", "none", "high"])


def test_more_are_shown_when_asked_for(page: Page, address: str, kept: Kept) -> None:
    for index in range(50):
        kept.finished(f"prompt {index:02}", rewards={"search": 0.5 if index % 2 else 0.6})
    for query in ("", "?sort=reward"):
        page.goto(f"{address}library{query}")
        expect(page.locator(".record")).to_have_count(24)
        press(page.locator("main"), "Show more")
        expect(page.locator(".record")).to_have_count(48)
        press(page.locator("main"), "Show more")
        expect(page.locator(".record")).to_have_count(50)
        expect(page.get_by_role("button", name="Show more")).to_be_hidden()
        assert len(set(titles(page))) == 50


def test_a_record_is_renamed_in_its_place(page: Page, address: str, kept: Kept) -> None:
    kept.finished("a photo of a red circle")
    page.goto(f"{address}library")
    shown = page.locator(".record")
    press(shown, "Rename")
    page.keyboard.type("Figure 3")
    page.keyboard.press("Escape")
    expect(shown.locator(".title")).to_have_text("a photo of a red circle")
    press(shown, "Add a note")
    page.keyboard.type("worth a figure")
    page.keyboard.press("Escape")
    expect(shown.locator("p.note")).to_have_text("worth a figure")
    press(shown, "Rename")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("  Figure 3  ")
    page.keyboard.press("Enter")
    expect(shown.locator(".title")).to_have_text("Figure 3")
    expect(shown.locator(".prompt")).to_have_text("a photo of a red circle")
    assert kept.listed()[0]["name"] == "Figure 3"
    press(shown, "Rename")
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    expect(shown.locator(".title")).to_have_text("a photo of a red circle")
    assert kept.listed()[0]["name"] is None


def test_notes_stars_and_locks_are_kept(page: Page, address: str, kept: Kept) -> None:
    kept.finished("a photo of a red circle")
    page.goto(f"{address}library")
    shown = page.locator(".record")
    press(shown, "Star")
    expect(shown.get_by_role("button", name="Take the star away")).to_have_attribute("aria-pressed", "true")
    press(shown, "Add a note")
    page.keyboard.type("first line\nsecond")
    page.get_by_role("heading", name="Library").click()  # leaving saves
    expect(shown.locator("p.note")).to_have_text("first line\nsecond")
    press(shown, "Lock against deletion")
    expect(shown.get_by_role("button", name="Locked: unlock it to throw it away")).to_be_disabled()
    page.reload()
    expect(shown.locator("p.note")).to_have_text("first line\nsecond")
    expect(shown.get_by_role("button", name="Unlock", exact=True)).to_be_visible()
    found = kept.listed()[0]
    assert (found["star"], found["note"], found["locked"]) == (True, "first line\nsecond", True)
    press(shown, "Unlock")
    expect(shown.get_by_role("button", name="Move to the trash")).to_be_enabled()


def test_what_is_thrown_away_can_be_taken_back_and_deleted_for_good(page: Page, address: str, kept: Kept) -> None:
    kept.finished("keep me")
    kept.finished("throw me", rewards={"search": 0.5})
    page.goto(f"{address}library")
    press(row(page, "throw me"), "Move to the trash")
    expect(page.locator(".record .title")).to_have_text(["keep me"])
    expect(page.get_by_role("status").filter(has_text="in the trash")).to_contain_text("\u201cthrow me\u201d")
    press(page.locator(".lab-toast"), "Undo")
    expect(page.locator(".record .title")).to_have_text(["throw me", "keep me"])
    press(row(page, "throw me"), "Move to the trash")
    expect(page.locator(".record")).to_have_count(1)
    press(page.locator(".filters"), "Trash")
    expect(page.locator(".record .title")).to_have_text(["throw me"])
    press(page.locator(".record"), "Restore")
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    press(page.locator(".lab-toast"), "Undo")
    expect(page.locator(".record .title")).to_have_text(["throw me"])
    press(page.locator(".record"), "Delete for good")
    dialog = page.get_by_role("dialog", name="Delete \u201cthrow me\u201d for good?")
    expect(dialog).to_contain_text("It frees up to 1 kB")
    press(dialog, "Keep it")
    expect(dialog).to_be_hidden()
    assert len(kept.listed(trash="1")) == 1
    press(page.locator(".record"), "Delete for good")
    press(dialog, "Delete for good")
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    assert not kept.listed(trash="1") and [one["prompt"] for one in kept.listed()] == ["keep me"]


def test_what_waits_cannot_be_thrown_away_and_says_why(page_with_errors: Page, address: str, kept: Kept) -> None:
    page = page_with_errors
    kept.waiting("a photo of a red circle")
    page.goto(f"{address}library")
    press(page.locator(".record"), "Move to the trash")
    expect(page.locator(".lab-toast")).to_contain_text("waits in the queue: stop it first")
    expect(page.locator(".record")).to_have_count(1)


def test_a_library_that_cannot_be_read_says_so_and_tries_again(
    page_with_errors: Page, address: str, kept: Kept
) -> None:
    page = page_with_errors
    kept.finished("a photo of a red circle")
    page.route("**/lab/api/records*", lambda route: route.abort())
    page.goto(f"{address}library")
    expect(page.get_by_role("alert").filter(has_text="The lab does not answer")).to_be_visible()
    page.unroute("**/lab/api/records*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".record")).to_have_count(1)


def test_hostile_text_is_only_ever_text(page: Page, address: str, kept: Kept) -> None:
    kept.finished(HOSTILE, name=f"name {HOSTILE}", note=f"note {HOSTILE}", rewards={"search": 0.5})
    kept.waiting(f"waits {HOSTILE}")
    page.goto(f"{address}library?text=" + "%3Cb%3Enone%3C%2Fb%3E")
    expect(page.locator(".nothing").first).to_contain_text("\u201c<b>none</b>\u201d")
    page.goto(f"{address}library?preset=%3Cimg%20src%3Dx%3E")
    expect(page.locator("main .nothing")).to_be_visible()
    page.goto(f"{address}library")
    shown = row(page, "name <img")
    assert shown.locator(".prompt").inner_text() == HOSTILE
    assert shown.locator("p.note").inner_text() == f"note {HOSTILE}"
    page.locator(".queue-button").click()
    expect(page.locator(".lab-drawer .title")).to_have_text([f"waits {HOSTILE}"])
    press(page.locator(".lab-drawer"), "Close the queue")
    press(shown, "Move to the trash")
    expect(page.locator(".lab-toast")).to_contain_text("name <img src=x")
    page.goto(f"{address}library?trash=1")
    press(page.locator(".record"), "Delete for good")
    expect(page.get_by_role("dialog").filter(has_text="for good?")).to_contain_text("name <img src=x")
    assert page.locator("main img[src='x'], script:not([src]):not(#facts)").count() == 0
    assert "taken" not in page.title()


def test_a_run_is_followed_while_the_library_is_open(page: Page, address: str, kept: Kept) -> None:
    kept.waiting("a photo of a red circle")
    page.goto(f"{address}library")
    chip = page.locator(".record .chip-state")
    expect(chip).to_have_text("Waiting")
    running = kept.run_next()
    expect(chip).to_have_text(re.compile(r"Running \d+%"))
    press(page.locator(".record"), "Rename")
    page.keyboard.type("half a na")
    kept.end(running)
    expect(chip).to_have_text("Finished")
    expect(page.get_by_label("Name", exact=True)).to_have_value("half a na")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()


@pytest.mark.parametrize("width", [390, 820, 1440])
def test_nothing_hangs_over_the_edge(page: Page, address: str, kept: Kept, width: int) -> None:
    kept.finished("long" * 200, name="wide" * 40, note="note" * 100, rewards={"search": -123.456, "no_search": 1000.0})
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{address}library")
    expect(page.locator(".record")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator(".record .tools").bounding_box()
    assert box and box["x"] + box["width"] <= width
