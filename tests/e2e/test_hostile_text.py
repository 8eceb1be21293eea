"""Hostile text in every place that shows what people, plug-ins or errors wrote: it is shown as it is, and runs nothing.

The page's policy would stop most of it; so that each sink is shown to escape by itself, the marks below are looked for
as elements, too.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.config import ExploreConfig
from tests.e2e.explore_page import Explore
from tests.e2e.fake_lab import FakeLab
from tests.e2e.kept import Kept

STRINGS = [
    "<img class=hit src=x onerror=\"window.hit='image'\">",
    "<script class=hit>window.hit='script'</script>",
    "</script><svg class=hit onload=\"window.hit='svg'\">",
    "'\"><b class=hit onmouseover=\"window.hit='over'\">b</b>",
    "${window.hit='template'} {{window.hit='mustache'}} <%= 7*7 %>",
    "[link](javascript:window.hit='link') **<u class=hit>u</u>** &lt;i class=hit&gt;",
    "<iframe class=hit srcdoc=\"<script>parent.hit='frame'</script>\"></iframe>",
    "\u202etxet desrever\u202c \u2028 \u0007 <a class=hit href=\"javascript:window.hit='a'\">a</a>",
]
EVERYTHING = " ".join(STRINGS)


class HostileLab(FakeLab):
    """Every text that it gives is one that would like to be markup."""

    def __init__(self, folder: Path, text: str):
        self.text = text
        super().__init__(folder, delay=0.0, recorded=ExploreConfig(f"p {text}"[:1900]))
        view = self.sessions[self.recorded or ""].view
        view.update(name=f"n {text}", note=f"o {text}", caution=f"c {text}", error=f"e {text}", preset=f"s {text}")
        for row in view["iterations"]:
            row["notes"] = [f"w {text}"]
            row["sentence"] = f"i {text}"
        for row in view["steps"]:
            row["sentence"] = f"t {text}"

    def options(self, model: str | None = None) -> dict[str, Any]:
        """Titles and help as a plug-in could bring them."""
        made = super().options(model)
        for kind, options in made.items():
            for option in options:
                option["title"] = option["title"] if kind == "presets" else f"{option['name']} {self.text}"
                option["help"] = f"h {self.text}"
        return made

    def start_session(self, config: dict[str, Any]) -> str:
        """Nothing can be started here, and it says so loudly."""
        from core.errors import ConfigError

        raise ConfigError({"rewards": f"r {self.text}", f"f {self.text}": f"x {self.text}"})


def seen(text: str) -> str:
    """Text as a page shows it: white space runs together."""
    return " ".join(text.split())


def shown(page: Page) -> str:
    return seen(
        page.evaluate(
            "document.body.innerText + ' ' + [...document.querySelectorAll('textarea')].map(one => one.value)"
        )
    )


def unharmed(page: Page) -> None:
    """Nothing ran and nothing of it became an element."""
    assert page.evaluate("window.hit") is None
    assert page.locator(".hit").count() == 0
    assert page.locator("iframe").count() == 0


@pytest.mark.parametrize("text", [EVERYTHING, STRINGS[0], STRINGS[4]], ids=["all", "image", "template"])
def test_explore_shows_text_as_text(page: Page, serve: Callable[[Any], str], tmp_path: Path, text: str) -> None:
    explore = Explore(page, serve(HostileLab(tmp_path, text)), "?session=s00001")
    explore.open_advanced()
    expect(explore.field("prompt")).to_have_value(f"p {text}"[:1900])
    page.locator(".board .candidate").first.hover()
    helped = () if "**" in text else ("h",)  # in a field's help gradio sets **this** in bold, and takes no markup
    for place in ("p", "n", "c", "i", *helped):
        assert seen(f"{place} {text}"[:1900]) in shown(page), place
    unharmed(page)
    page.get_by_role("button", name="Use these settings").click()
    expect(page.locator(".lab-said")).to_contain_text("Filled from the session")
    page.locator(".board .candidate").first.dblclick()
    expect(page.locator("dialog.lightbox[open]")).to_be_visible()
    page.keyboard.press("Escape")
    page.click("#run")
    problems = page.locator(".lab-problems")
    expect(problems).to_contain_text("r ")
    for place in ("r", "f", "x"):
        assert seen(f"{place} {text}") in seen(problems.inner_text()), place
    unharmed(page)


@pytest.mark.parametrize("path", ["library", "status", "library?trash=1"])
def test_the_other_pages_show_text_as_text(page: Page, address: str, kept: Kept, path: str) -> None:
    for number, text in enumerate(STRINGS):
        record = kept.finished(f"p{number} {text}", name=f"n{number} {text}", note=f"o{number} {text}")
        if "trash" in path:
            kept.lab.trash_record(record)
    kept.waiting(f"q {STRINGS[0]}", name=f"w {STRINGS[1]}")
    failed = kept.run_next()
    kept.end(failed, "failed", f"e {EVERYTHING}")
    kept.waiting(f"q {STRINGS[2]}")
    page.goto(address + path)
    page.wait_for_load_state("networkidle")
    if path.startswith("library"):
        expect(page.locator(".record")).not_to_have_count(0)
        for number, text in enumerate(STRINGS):
            assert seen(f"n{number} {text}") in shown(page), text
    page.get_by_role("button", name="Queue").click()
    expect(page.locator("body")).to_contain_text(f"q {STRINGS[2]}")
    unharmed(page)


@pytest.mark.parametrize("query", ["?session=", "library?text=", "library?preset="])
def test_an_address_is_no_way_in(page_with_errors: Page, address: str, query: str) -> None:
    page = page_with_errors
    for text in STRINGS[:5]:
        page.goto(f"{address}{query}{page.evaluate('encodeURIComponent', text)}")
        page.wait_for_load_state("networkidle")
        unharmed(page)


def test_markup_that_slipped_in_would_run_nothing(page_with_errors: Page, site: str) -> None:
    """The policy by itself: handlers and scripts without the page's nonce, other machines, frames, base addresses."""
    page = page_with_errors
    Explore(page, site)
    page.evaluate(
        """() => {
          const place = document.createElement('div');
          place.innerHTML = `<img src=x onerror="window.hit=1"><svg onload="window.hit=2"></svg>
            <a id=sly href="javascript:window.hit=3">x</a><iframe srcdoc="<script>parent.hit=4</script>"></iframe>`;
          document.body.append(place);
          const script = document.createElement('script');
          script.textContent = 'window.hit = 5';
          document.body.append(script);
          document.querySelector('#sly').click();
        }"""
    )
    refused = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")
    page.wait_for_timeout(300)
    assert page.evaluate("window.hit") is None
    assert refused == "refused"


def test_the_api_answers_json_that_no_browser_reads_as_a_page(site: str, lab: FakeLab) -> None:
    import httpx

    for text in STRINGS:
        answer = httpx.post(f"{site}lab/api/estimate", json={"prompt": text, text: 1})
        assert answer.status_code == 422 and answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert text in json.loads(answer.text)["detail"]
