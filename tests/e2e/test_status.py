"""Page Status over a real lab: the worker, what is usable and why not, disk use, and the text for a question."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from app.presence import announce
from core.rewards.registry import REWARDS
from tests.e2e.kept import Kept


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def test_the_worker_is_told_as_it_comes_and_goes(page: Page, address: str, kept: Kept) -> None:
    page.goto(f"{address}status")
    worker = card(page, "Worker")
    expect(worker.locator(".sign")).to_have_text("Not there")
    expect(worker).to_contain_text("jobs wait")
    tell_ready = announce(kept.lab.settings.data_dir, "cpu")
    expect(worker.locator(".sign")).to_have_text("Starting")
    tell_ready()
    expect(worker.locator(".sign")).to_have_text("Ready")
    expect(worker.locator("dl")).to_contain_text("Process")
    del tell_ready
    page.reload()
    expect(worker.locator(".sign")).to_have_text("Gone")


def test_what_is_usable_and_why_not(page: Page, address: str, kept: Kept) -> None:
    page.goto(f"{address}status")
    usable = card(page, "Models").locator("li").filter(has_text="shapes-sd3")
    expect(usable.locator(".sign")).to_have_text("usable")
    missing = card(page, "Models").locator("li").filter(has_text="stable-diffusion-3.5-medium")
    expect(missing.locator(".sign")).to_have_text("not here")
    expect(missing.locator("code")).to_have_text("python -m app download stabilityai/stable-diffusion-3.5-medium")
    expect(card(page, "Rewards").locator("li")).to_have_count(len(REWARDS))


def test_disk_database_versions_and_queue(page: Page, address: str, kept: Kept) -> None:
    kept.finished("a photo of a red circle", rewards={"search": 0.5})
    kept.waiting("a photo of a blue star")
    page.goto(f"{address}status")
    pictures = card(page, "Disk").get_by_role("row").filter(has_text="Pictures")
    expect(pictures).to_contain_text("1 file")
    expect(card(page, "Disk")).to_contain_text(str(kept.lab.settings.data_dir))
    expect(card(page, "Disk")).to_contain_text(re.compile(r"[\d.]+ GB of [\d.]+ GB"))
    expect(card(page, "Database")).to_contain_text("up to date")
    expect(card(page, "Database")).to_contain_text("SQLite 3.")
    expect(card(page, "Versions")).to_contain_text("gradio")
    expect(card(page, "Queue").locator("dl div").filter(has_text="Waiting")).to_contain_text("1")


def test_the_status_is_copied_as_text(page: Page, address: str, kept: Kept) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{address}status")
    page.get_by_role("button", name="Copy as text").click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("lab ") and "shapes-sd3: usable" in copied and "worker " in copied


def test_without_a_clipboard_the_text_is_shown_selected(page: Page, address: str, kept: Kept) -> None:
    page.add_init_script("delete Navigator.prototype.clipboard")  # as over plain HTTP to another machine
    page.goto(f"{address}status")
    page.get_by_role("button", name="Copy as text").click()
    shown = page.get_by_label("The status as text")
    expect(shown).to_be_focused()
    assert "shapes-sd3: usable" in shown.input_value()
    assert shown.evaluate("field => field.selectionEnd - field.selectionStart") == len(shown.input_value())


def test_a_lab_that_is_gone_is_told_and_found_again(page_with_errors: Page, address: str, kept: Kept) -> None:
    page = page_with_errors
    page.route("**/lab/api/status", lambda route: route.abort())
    page.goto(f"{address}status")
    expect(page.locator("main").get_by_role("alert")).to_contain_text("The lab does not answer")
    page.unroute("**/lab/api/status")
    expect(card(page, "Versions")).to_be_visible()
    expect(page.locator("main").get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize("width", [390, 820, 1440])
def test_nothing_hangs_over_the_edge(page: Page, address: str, kept: Kept, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{address}status")
    expect(card(page, "Versions")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
