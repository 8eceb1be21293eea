"""Page Library over a real lab: what is there, what is found, what is changed, thrown away and taken back."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

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
    expect(shown.locator("div.note")).to_have_text("worth a figure")
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
    expect(shown.locator("div.note p")).to_have_text("first line\nsecond", use_inner_text=True)
    press(shown, "Lock against deletion")
    expect(shown.get_by_role("button", name="Locked: unlock it to throw it away")).to_be_disabled()
    page.reload()
    expect(shown.locator("div.note p")).to_have_text("first line\nsecond", use_inner_text=True)
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
    assert shown.locator("div.note").inner_text().startswith("note <img src=x onerror=")
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


HOSTILE_MARKDOWN = """<script>document.title='taken'</script>

[press me](javascript:document.title='taken') [or me](data:text/html,<script>1</script>)

![beacon](https://elsewhere.example/beacon.png)
<img src=x onerror="document.title='taken'"><iframe src="https://elsewhere.example"></iframe>

**bold** and [a paper](https://arxiv.org/abs/2505.05470)"""


def test_a_note_of_hostile_markdown_is_shown_and_does_nothing(page: Page, address: str, kept: Kept) -> None:
    """The fixture fails the test if anything was asked of another machine."""
    kept.finished("a photo of a red circle", note=HOSTILE_MARKDOWN)
    page.goto(f"{address}library")
    note = page.locator(".record div.note")
    expect(note.locator("strong")).to_have_text("bold")
    press(page.locator(".record"), "Show all of it")
    expect(note).to_contain_text("<script>document.title='taken'</script>")
    links = note.locator("a")
    assert [link.get_attribute("href") for link in links.all()][-1] == "https://arxiv.org/abs/2505.05470"
    assert all((link.get_attribute("href") or "").startswith("https://") for link in links.all())
    assert links.last.get_attribute("rel") == "noopener noreferrer"
    assert note.locator("img, iframe, script, [onerror]").count() == 0
    note.get_by_text("press me").click()
    assert "taken" not in page.title()


def test_what_there_is_can_be_chosen_and_is_counted(page: Page, address: str, kept: Kept) -> None:
    for prompt, preset in (("one", "smart-grpo"), ("two", "smart-grpo"), ("three", "best-of-k")):
        kept.finished(prompt, preset=preset)
    kept.measured("measured")
    page.goto(f"{address}library")
    expect(page.locator(".many")).to_have_text("4 records")
    expect(page.get_by_label("Preset").locator("option")).to_have_text(
        ["Any preset", "smart-grpo (2)", "best-of-k (1)"]
    )
    expect(page.get_by_label("Model")).to_be_hidden()  # there is only one
    page.get_by_label("Kind").select_option(label="Reliability measurements (1)")
    expect(page.locator(".record .title")).to_have_text(["measured"])
    expect(page.locator(".many")).to_have_text("1 record")
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator(".record")).to_have_count(4)
    page.get_by_label("Made on or before").fill("2026-01-02")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.wait_for_url(re.compile(r"until=2026-01-02"))
    page.get_by_label("Made on or before").fill("")
    page.get_by_label("Made on or after").fill("2026-01-02")
    expect(page.locator(".record")).to_have_count(4)


def test_tags_are_given_shown_and_found(page: Page, address: str, kept: Kept) -> None:
    kept.finished("a photo of a red circle")
    kept.finished("a photo of a blue star")
    page.goto(f"{address}library")
    shown = row(page, "red circle")
    press(shown, "Add tags")
    page.keyboard.type("talk,  <b>figure 2</b> ,talk,")
    page.keyboard.press("Enter")
    expect(shown.locator(".tags .tag")).to_have_text(["<b>figure 2</b>", "talk"])
    shown.get_by_role("button", name="talk", exact=True).click()
    page.wait_for_url(re.compile(r"tag=talk"))
    expect(page.locator(".record .title")).to_have_text(["a photo of a red circle"])
    expect(page.get_by_label("Tag", exact=True)).to_have_value("talk")
    press(shown, "Change the tags")
    expect(page.get_by_label("Tags", exact=True)).to_have_value("<b>figure 2</b>, talk")
    page.keyboard.type("talk")
    page.keyboard.press("Enter")
    expect(shown.locator(".tags .tag")).to_have_text(["talk"])
    assert kept.listed(tag="talk")[0]["tags"] == ["talk"]


def test_a_tag_that_few_have_can_be_asked_for(page: Page, address: str, kept: Kept) -> None:
    kept.finished("a photo of a red circle")
    kept.finished("a photo of a blue star")
    page.goto(f"{address}library")
    expect(page.get_by_label("Tag", exact=True)).to_be_hidden()
    press(row(page, "blue star"), "Add tags")
    page.keyboard.type("talk")
    page.keyboard.press("Enter")
    page.get_by_label("Tag", exact=True).select_option(label="talk (1)")
    expect(page.locator(".record .title")).to_have_text(["a photo of a blue star"])


def test_what_is_too_long_is_told_and_nothing_typed_is_lost(page_with_errors: Page, address: str, kept: Kept) -> None:
    page = page_with_errors
    kept.finished("a photo of a red circle")
    page.goto(f"{address}library")
    shown = row(page, "red circle")
    press(shown, "Rename")
    page.keyboard.type("n" * 201)
    page.keyboard.press("Enter")
    expect(shown.locator(".edit .wrong").filter(visible=True)).to_have_text("Expected at most 200 characters, got 201.")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    expect(shown.locator(".title")).to_have_text("n" * 200)
    press(shown, "Add tags")
    page.keyboard.type(f"talk, {'t' * 41}")
    page.keyboard.press("Tab")  # leaving saves as well
    expect(shown.locator(".edit .wrong").filter(visible=True)).to_contain_text("tags of at most 40 characters")
    field = page.get_by_label("Tags", exact=True)
    expect(field).to_have_value(f"talk, {'t' * 41}")
    field.fill("talk")
    field.press("Enter")
    expect(shown.locator(".tags .tag")).to_have_text(["talk"])
    shown.locator(".choose").check()
    bar = page.get_by_role("toolbar", name="Chosen records")
    press(bar, "Tag")
    page.keyboard.type("t" * 41)
    page.keyboard.press("Enter")
    expect(page.locator(".lab-toast")).to_contain_text("at most 40 characters")
    expect(page.get_by_label("Tags for all that are chosen")).to_have_value("t" * 41)


def test_what_an_address_asks_for_in_vain_is_told_and_left_out(page: Page, address: str, kept: Kept) -> None:
    kept.finished("a photo of a red circle")
    kept.finished("a photo of a blue star")
    page.goto(f"{address}library?state=asleep&sort=cheapest&since=soon&text=circle")
    expect(page.locator(".record .title")).to_have_text(["a photo of a red circle"])
    told = page.locator(".filters .left")
    expect(told).to_contain_text("state \u201casleep\u201d and sort \u201ccheapest\u201d and since \u201csoon\u201d")
    expect(page.get_by_label("Sort")).to_have_value("")
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator(".record")).to_have_count(2)
    expect(told).to_be_hidden()


def test_several_are_chosen_and_changed_at_once(page: Page, address: str, kept: Kept) -> None:
    ids = [kept.finished(f"prompt {index}") for index in range(4)]
    page.goto(f"{address}library")
    boxes, bar = page.locator(".record .choose"), page.get_by_role("toolbar", name="Chosen records")
    expect(bar).to_be_hidden()
    boxes.nth(0).check()
    boxes.nth(2).click(modifiers=["Shift"])
    expect(bar).to_contain_text("3 records chosen")
    press(bar, "Star")
    expect(page.locator(".record .star[aria-pressed=true]")).to_have_count(3)
    press(bar, "Tag")
    page.keyboard.type("talk")
    page.keyboard.press("Enter")
    expect(page.locator(".record .tags .tag")).to_have_text(["talk"] * 3)
    press(bar, "Compare")
    expect(page.locator(".lab-tray li")).to_have_count(3)
    press(page.locator(".record").first, "Take it out of the comparison")
    expect(page.locator(".lab-tray li")).to_have_count(2)
    press(page.locator(".record").first, "Lock against deletion")
    press(bar, "Move to the trash")
    expect(page.locator(".lab-toast")).to_have_text(
        re.compile("2 records are in the trash. 1 other is not: .* is locked")
    )
    expect(page.locator(".record .title")).to_have_text(["prompt 3", "prompt 0"])
    expect(bar).to_contain_text("1 record chosen")
    assert {one["id"] for one in kept.listed(trash="1")} == set(ids[1:3])
    press(page.locator(".lab-toast"), "Undo")
    expect(page.locator(".record")).to_have_count(4)


def test_the_trash_says_what_it_takes_and_is_emptied(page: Page, address: str, kept: Kept) -> None:
    kept.finished("keep me")
    thrown = [kept.finished(f"throw me {index}", rewards={"search": 0.5}) for index in range(2)]
    for record_id in thrown:
        kept.lab.trash_record(record_id)
    kept.lab.change_record(thrown[0], {"locked": True})
    page.goto(f"{address}library?trash=1")
    line = page.locator(".trash-line")
    expect(line).to_contain_text("2 records, 1 locked against deletion. Deleting them frees up to 1 kB")
    expect(row(page, "throw me 1").locator(".state")).to_contain_text("up to 1 kB")
    press(line, "Empty the trash")
    dialog = page.get_by_role("dialog", name="Empty the trash?")
    expect(dialog).to_contain_text("1 record is removed with pictures and numbers; what is locked stays")
    press(dialog, "Delete for good")
    expect(page.locator(".record .title")).to_have_text(["throw me 0"])
    expect(line).to_contain_text("1 record, all locked")
    expect(line.get_by_role("button")).to_be_disabled()
    page.locator(".record .choose").check()
    press(page.get_by_role("toolbar", name="Chosen records"), "Restore")
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    assert len(kept.listed()) == 2


def test_the_database_is_downloaded_from_the_page(page: Page, address: str, kept: Kept, tmp_path: Path) -> None:
    kept.finished("keep me")
    page.goto(f"{address}library")
    page.get_by_role("button", name="Back up").click()
    dialog = page.get_by_role("dialog", name="Back up the database")
    expect(dialog).to_contain_text("pictures, latents and checkpoints are files beside it")
    with page.expect_download() as told:
        dialog.get_by_role("link", name="Download the copy").click()
    assert told.value.suggested_filename.startswith("lab-")
    told.value.save_as(tmp_path / "copy.sqlite")
    with closing(sqlite3.connect(tmp_path / "copy.sqlite")) as copy:
        assert copy.execute("SELECT prompt FROM records").fetchall() == [("keep me",)]


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
