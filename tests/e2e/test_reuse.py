"""Settings in and out of the page: a fast hand, the estimate, reuse, copies, downloads, pictures that are dropped."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from app.__main__ import _parser
from app.flags import read_search
from app.pictures import encode_final
from app.reuse import config_of_picture, place_of_picture
from core.config import PRESETS, ExploreConfig, from_dict, to_dict
from tests.e2e.dropping import dropped
from tests.e2e.explore_page import Explore
from tests.e2e.fake_lab import FakeLab

WEIGHTED = ExploreConfig(
    "a photo of a purple star",
    seed=7,
    num_steps=8,
    guidance_scale=3.5,
    noise_level=0.4,
    window_max=0.9,
    search_initial=False,
    search=replace(PRESETS["smart-grpo-sde"], num_candidates=6, preset="smart-grpo-sde, changed", min_std=0.05),
    rewards={"shapes-clip": 1.0, "jpeg-compressibility": -0.25, "shapes-verifier": 0.0},
    arms=("ode",),
    batch_size=16,
)
HOSTILE_NAME = "<img src=x onerror=window.hit=1>.png"


@pytest.fixture(scope="module")
def weighted(serve: Callable[[Any], str], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, FakeLab]:
    """A site whose session climbs a weighted sum with settings that are all its own."""
    lab = FakeLab(tmp_path_factory.mktemp("weighted"), delay=0.0, recorded=WEIGHTED)
    return serve(lab), lab


@pytest.fixture
def allowed(browser: Browser) -> Iterator[Page]:
    """A page that may read the clipboard."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context.new_page()
    context.close()


def held_back(page: Page, milliseconds: int = 1200) -> None:
    """Let the server's first answer, which fills the form, come late."""
    first = iter([True])

    def late(route: Any) -> None:
        if next(first, False):
            page.wait_for_timeout(milliseconds)
        route.continue_()

    page.route(re.compile("gradio_api/run/predict"), late)


def picture(config: ExploreConfig, **place: Any) -> bytes:
    return encode_final(np.full((8, 8, 3), 90, np.uint8), {"config": to_dict(config), **place})


def test_a_hand_faster_than_the_server_keeps_what_it_wrote(page: Page, weighted: tuple[str, FakeLab]) -> None:
    held_back(page)
    page.goto(f"{weighted[0]}?session={weighted[1].recorded}")
    prompt = page.locator("#field-prompt textarea")
    prompt.fill("a photo of a black square")
    page.locator("#advanced button").first.click()
    page.locator("#field-num_steps input").fill("12")
    expect(page.locator("#field-seed input")).to_have_value("7")
    expect(prompt).to_have_value("a photo of a black square")
    expect(page.locator("#field-num_steps input")).to_have_value("12")
    expect(page.locator("#field-guidance_scale input")).to_have_value("3.5")


def test_a_preset_chosen_early_is_not_mixed_with_the_sessions_settings(
    page: Page, weighted: tuple[str, FakeLab]
) -> None:
    held_back(page)
    page.goto(f"{weighted[0]}?session={weighted[1].recorded}")
    page.locator("#field-preset input").click()
    page.get_by_role("option", name="one-shot", exact=True).click()
    page.locator("#advanced button").first.click()
    expect(page.locator("#field-seed input")).to_have_value("7")
    expect(page.locator("#field-search-num_candidates input")).to_have_value("25")
    expect(page.locator("#field-search-min_std input")).to_have_value("0")
    expect(page.locator("#field-window_max input")).to_have_value("0.8")


def test_a_sessions_settings_run_again_as_they_were(page: Page, weighted: tuple[str, FakeLab]) -> None:
    address, lab = weighted
    shown = Explore(page, address)
    shown.open_advanced()
    shown.field("num_steps").fill("44")
    page.get_by_role("button", name="Use these settings").click()
    expect(page.locator(".lab-said")).to_contain_text("Filled from the session \u201ca photo of a purple star\u201d.")
    expect(shown.field("num_steps")).to_have_value("8")
    expect(shown.field("weights")).to_have_value("shapes-clip 1, jpeg-compressibility -0.25")
    expect(page.locator("#field-preset .info-text")).to_contain_text("The same search, scoring each noise")
    assert lab.config_of(shown.run()) == WEIGHTED


def test_another_reward_is_climbed_alone(page: Page, weighted: tuple[str, FakeLab]) -> None:
    address, lab = weighted
    shown = Explore(page, address, f"?session={lab.recorded}")
    shown.open_advanced()
    expect(shown.field("weights")).to_have_value("shapes-clip 1, jpeg-compressibility -0.25")
    shown.field("reward").click()
    page.locator("li[role=option]").filter(has_text="JPEG size").click()
    expect(shown.field("weights")).to_have_value("")
    started = lab.config_of(shown.run())
    assert {name: weight for name, weight in started.rewards.items() if weight} == {"jpeg-compressibility": 1.0}


def test_weights_that_cannot_be_read_are_told_beside_the_form(page: Page, weighted: tuple[str, FakeLab]) -> None:
    shown = Explore(page, weighted[0])
    shown.open_advanced()
    shown.field("weights").fill("shapes-clip one")
    page.click("#run")
    expect(page.locator(".lab-problems")).to_contain_text("Several rewards: expected rewards with their weights")
    expect(page.locator("#field-weights")).to_have_class(re.compile("lab-bad"))


def test_the_cost_follows_the_form_without_a_storm(page: Page, weighted: tuple[str, FakeLab]) -> None:
    shown = Explore(page, weighted[0])
    line = page.locator(".lab-form .cost")
    expect(line).to_contain_text("320 velocity evaluations, 220 of them the search; about 16 s here.")
    shown.open_advanced()
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url) if "form/estimate" in sent.url else None)
    shown.field("search.num_candidates").press_sequentially("0", delay=20)
    shown.field("search.num_iterations").press_sequentially("0", delay=20)
    expect(line).to_contain_text("20,120 velocity evaluations, 20,020 of them the search; about 17 min here.")
    assert 1 <= len(asked) <= 3
    shown.field("num_steps").fill("1")
    expect(line).to_have_class(re.compile("unknown"))
    shown.field("num_steps").fill("10")
    expect(line).not_to_have_class(re.compile("unknown"))


def test_settings_are_copied_as_a_command_and_as_python(allowed: Page, weighted: tuple[str, FakeLab]) -> None:
    address, lab = weighted
    Explore(allowed, address, f"?session={lab.recorded}")
    allowed.get_by_role("button", name="Copy as command line").click()
    expect(allowed.get_by_role("button", name="Copied")).to_be_visible()
    words = shlex.split(allowed.evaluate("navigator.clipboard.readText()"))
    assert from_dict(read_search(_parser().parse_args(words[3:]))) == WEIGHTED
    allowed.get_by_role("button", name="Copy as Python").click()
    for _ in range(200):  # a function to wait for would be taken as true by the promise that it returns
        code = allowed.evaluate("navigator.clipboard.readText()")
        if code.startswith("from core"):
            break
        allowed.wait_for_timeout(50)
    made: dict[str, Any] = {"__name__": "copied"}
    exec(code, made)
    assert made["config"] == WEIGHTED


def test_settings_are_copied_where_a_page_may_not_use_the_clipboard(page: Page, weighted: tuple[str, FakeLab]) -> None:
    """As over plain HTTP to another machine."""
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.add_init_script("addEventListener('copy', () => { window.copied = document.activeElement.value; })")
    Explore(page, weighted[0])
    page.get_by_role("button", name="Copy as command line").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("window.copied").startswith("python -m app search 'a photo of a purple star'")


def test_a_downloaded_candidate_brings_its_settings_back(
    page: Page, weighted: tuple[str, FakeLab], tmp_path: Path
) -> None:
    address, lab = weighted
    shown = Explore(page, address, f"?session={lab.recorded}&at=5.1.2")
    shown.rows.nth(1).locator(".candidate").nth(2).click()  # the cursor stands there: a click enlarges
    box = page.locator("dialog.lightbox[open]")
    expect(box).to_contain_text("Step 6, iteration 2, candidate 3")
    with page.expect_download() as told:
        box.get_by_role("link", name="Download").click()
    assert told.value.suggested_filename == f"{lab.recorded}-step-6-iteration-2-candidate-3.png"
    told.value.save_as(tmp_path / "kept.png")
    content = (tmp_path / "kept.png").read_bytes()
    assert config_of_picture(content) == WEIGHTED
    assert place_of_picture(content) == {"session": lab.recorded, "step": 5, "iteration": 1, "candidate": 2}
    page.keyboard.press("Escape")
    shown.open_advanced()
    shown.field("seed").fill("1")
    dropped(page, content, "kept.png")
    expect(page.locator(".lab-said")).to_contain_text(
        "Read from kept.png: \u201ca photo of a purple star\u201d, step 6, iteration 2, candidate 3."
    )
    expect(shown.field("seed")).to_have_value("7")


def test_every_enlarged_picture_can_be_downloaded(page: Page, weighted: tuple[str, FakeLab]) -> None:
    Explore(page, weighted[0])
    openers = (".cards .arm button", ".of-step:not(.away) > .row.used button")
    for opener in (page.locator(one).first for one in openers):
        opener.click()
        box = page.locator("dialog.lightbox[open]")
        with page.expect_download() as told:
            box.get_by_role("link", name="Download").click()
        assert told.value.suggested_filename.endswith(".png")
        page.keyboard.press("Escape")
        expect(box).to_have_count(0)


def test_a_veil_says_where_to_drop(page: Page, weighted: tuple[str, FakeLab]) -> None:
    Explore(page, weighted[0])
    veil = page.locator(".lab-veil")
    expect(veil).to_be_hidden()
    drag = """kind => { const carried = new DataTransfer(); carried.items.add(new File(['x'], 'x.png'));
      document.body.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: carried})); }"""
    page.evaluate(drag, "dragenter")
    expect(veil).to_be_visible()
    page.evaluate(drag, "dragleave")
    expect(veil).to_be_hidden()
    page.evaluate(
        """() => { const carried = new DataTransfer(); carried.setData('text/plain', 'only words');
      document.body.dispatchEvent(new DragEvent('dragenter', {bubbles: true, dataTransfer: carried})); }"""
    )
    expect(veil).to_be_hidden()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no picture at all", "This file is not a PNG: expected a picture downloaded from this lab."),
        (picture(WEIGHTED)[:60], "This picture is cut off or damaged"),
        (encode_final(np.zeros((8, 8, 3), np.uint8), {}), "The settings in this picture cannot be used here"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 5_000_001, "This file is too large: expected a picture of at most 5 MB."),
    ],
)
def test_what_is_no_picture_of_ours_is_told(
    page_with_errors: Page, weighted: tuple[str, FakeLab], content: bytes, sentence: str
) -> None:
    page = page_with_errors
    shown = Explore(page, weighted[0])
    shown.write_prompt("a photo of a black square")
    dropped(page, content)
    expect(page.locator(".lab-said .bad")).to_contain_text(sentence)
    expect(shown.field("prompt")).to_have_value("a photo of a black square")


def test_two_pictures_are_one_too_many_and_names_are_text(page: Page, weighted: tuple[str, FakeLab]) -> None:
    shown = Explore(page, weighted[0])
    dropped(page, picture(WEIGHTED), times=2)
    expect(page.locator(".lab-said")).to_contain_text("One picture at a time")
    dropped(page, picture(replace(WEIGHTED, prompt="<b>a photo</b>")), HOSTILE_NAME)
    expect(page.locator(".lab-said")).to_contain_text(f"Read from {HOSTILE_NAME}: \u201c<b>a photo</b>\u201d.")
    expect(shown.field("prompt")).to_have_value("<b>a photo</b>")
    assert page.evaluate("window.hit") is None


def test_settings_of_a_picture_are_chosen_without_dragging(
    page: Page, weighted: tuple[str, FakeLab], tmp_path: Path
) -> None:
    (tmp_path / "mine.png").write_bytes(picture(replace(WEIGHTED, seed=99, model="sd9")))
    shown = Explore(page, weighted[0])
    shown.open_advanced()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Settings from a picture").click()
    chooser.value.set_files(tmp_path / "mine.png")
    expect(page.locator(".lab-said .caution")).to_contain_text("Model 'sd9' is not known here")
    expect(shown.field("seed")).to_have_value("99")
    expect(shown.field("model")).to_have_value("Shapes SD3")


def test_every_field_has_help(page: Page, weighted: tuple[str, FakeLab]) -> None:
    shown = Explore(page, weighted[0])
    shown.open_advanced()
    fields = page.locator("#form [id^='field-']")
    helpless = [
        fields.nth(i).get_attribute("id")
        for i in range(fields.count())
        if not fields.nth(i).locator(".info-text, [data-testid='block-info'] + div").count()
    ]
    assert [name for name in helpless if name not in ("field-prompt",)] == []


def test_the_estimate_answers_json(weighted: tuple[str, FakeLab]) -> None:
    import httpx

    told = httpx.post(f"{weighted[0]}lab/api/estimate", json=to_dict(WEIGHTED)).json()
    assert json.dumps(told) and told["seconds"] == pytest.approx(0.05 * told["nfe"])
