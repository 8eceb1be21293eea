"""Page Explore as a person uses it: named places and gestures, so that tests read as stories."""

import re
import time

from playwright.sync_api import Locator, Page, expect

from tests.e2e.fake_lab import FakeLab


class Explore:
    """The page, opened."""

    def __init__(self, page: Page, address: str, query: str = ""):
        self.page = page
        self.address = address
        page.goto(address + query)
        expect(page.locator("#run")).to_be_visible()
        expect(page.locator(".lab-session[data-state]")).to_be_visible()

    def field(self, name: str) -> Locator:
        return self.page.locator(f"#field-{name.replace('.', '-')}").locator("input, textarea").first

    def fill(self, name: str, value: str) -> None:
        self.field(name).fill(value)

    def write_prompt(self, text: str) -> None:
        self.field("prompt").fill(text)

    def open_advanced(self) -> None:
        self.page.locator("#advanced button").first.click()
        expect(self.field("seed")).to_be_visible()

    def run(self) -> str:
        """Press Run and return the new session's id, from the address."""
        before = self.page.url
        self.page.click("#run")
        self.page.wait_for_url(lambda url: url != before and "session=" in url)
        return self.id()

    def id(self) -> str:
        found = re.search(r"session=([^&]+)", self.page.url)
        assert found
        return found[1]

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def open_step(self, step: int) -> None:
        """Go to a timestep, counted from 0, and wait until the board shows it: until then `rows` are those before."""
        self.cells.nth(step).locator("button").click()
        expect(self.page.locator(".board h3").first).to_have_text(f"Step {step + 1}")

    def click_candidate(self, row: int, candidate: int) -> None:
        """Click a candidate, both counted from 1 as they are shown."""
        self.page.evaluate("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        self.rows.nth(row - 1).locator(".candidate").nth(candidate - 1).click()

    def expect_at(self, step: int, iteration: int, candidate: int) -> None:
        """The cursor's place, counted from 0."""
        expect(self.page.locator(".candidate.at")).to_have_id(f"candidate-{step}-{iteration}-{candidate}")
        expect(self.page.locator(".candidate.at")).to_have_count(1)

    def expect_state(self, state: str, timeout: float = 15_000) -> None:
        expect(self.page.locator(f".lab-session[data-state='{state}']")).to_be_visible(timeout=timeout)

    @property
    def status(self) -> Locator:
        return self.page.locator(".lab-session .status")

    @property
    def rows(self) -> Locator:
        return self.page.locator(".board .of-step:not(.away) > .row:not(.to-come, .used, .loading)")

    @property
    def cells(self) -> Locator:
        return self.page.locator(".film .cell")

    @property
    def cards(self) -> Locator:
        return self.page.locator(".cards .arm")


def standing(lab: FakeLab, iterations: int, prompt: str = "a photo of two green triangles") -> str:
    """A session of the lab's that is paused after so many iterations, however busy the machine is; its id."""
    record = lab.start_session({"prompt": prompt, "rewards": {"shapes-clip": 1.0, "shapes-verifier": 0.0}})
    lab.command(record, "pause")
    while True:
        until_paused(lab, record)
        if len(lab.sessions[record].view["iterations"]) >= iterations:
            return record
        lab.command(record, "step")


def until_paused(lab: FakeLab, record: str) -> None:
    """Wait for the session to have followed its last order."""
    for _ in range(600):
        if lab.sessions[record].mode == "paused":
            return
        time.sleep(0.05)
    raise AssertionError("the session did not pause")
