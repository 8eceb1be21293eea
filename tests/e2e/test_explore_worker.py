"""The page over the real services, database and worker process; only the engine is made up."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.services import Lab
from app.settings import ROOT, Settings
from tests.e2e.explore_page import Explore


@dataclass
class Stack:
    """A served lab and its worker, which can be killed and started again."""

    address: str
    lab: Lab
    folder: Path
    worker: subprocess.Popen[bytes] | None = None

    def start_worker(self) -> None:
        command = [sys.executable, "-m", "tests.fake_worker", "--data-dir", str(self.folder)]
        self.worker = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"LAB_TEST_DELAY": "0.6"})

    def kill_worker(self) -> None:
        if self.worker:
            self.worker.kill()
            self.worker.wait()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Any], str]) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    lab = Lab(Settings(folder, recorded=None))
    made = Stack(serve(lab), lab, folder)
    made.start_worker()
    yield made
    made.kill_worker()


def test_run_pause_step_continue_reload(page: Page, stack: Stack) -> None:
    shown = Explore(page, stack.address)
    shown.write_prompt("a photo of <b>two</b> red stars")
    shown.run()
    expect(shown.rows.first).to_be_visible(timeout=60_000)
    shown.press("Pause")
    shown.expect_state("paused")
    told = shown.status.inner_text()
    shown.press("Step")
    expect(shown.status).not_to_have_text(told)
    shown.expect_state("paused")
    page.reload()
    shown.expect_state("paused")
    expect(page.locator(".prompt")).to_have_text("a photo of <b>two</b> red stars")
    shown.press("Continue")
    shown.expect_state("succeeded", 90_000)
    expect(page.locator(".arm.missing")).to_have_count(0)
    page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


def test_elites_are_chosen_by_hand_and_the_search_goes_on_with_them(page: Page, stack: Stack) -> None:
    shown = Explore(page, stack.address)
    record = shown.run()
    expect(shown.rows.first).to_be_visible(timeout=60_000)
    shown.press("Pause")
    shown.expect_state("paused")
    choose = page.get_by_role("button", name="Choose the kept ones yourself", exact=True)
    while not choose.is_visible():
        told = shown.status.inner_text()
        shown.press("Step")
        expect(shown.status).not_to_have_text(told)
        shown.expect_state("paused")
    choose.click()
    row = page.locator(".board .row:has(.ticking)")
    iteration = int(row.get_attribute("data-iteration") or "")
    kept = row.locator(".candidate[aria-selected='true']")
    while kept.count():
        kept.first.click()
    mine = row.locator(".candidate:not(.elite)").first
    index = int(mine.get_attribute("data-candidate") or "")
    mine.click()
    page.get_by_role("button", name="Keep these and go on").click()
    shown.expect_state("succeeded", 90_000)
    view = stack.lab.session_view(record)
    assert view
    chosen = [row for row in view["iterations"] if row["elites"] == [index] and row["iteration"] == iteration]
    assert len(chosen) == 1


def test_a_waiting_session_can_be_stopped_and_the_next_one_runs(page: Page, stack: Stack) -> None:
    stack.kill_worker()
    shown = Explore(page, stack.address)
    shown.run()
    shown.expect_state("pending")
    expect(shown.status).to_have_text("Waiting for the worker: one session runs at a time.")
    shown.press("Stop")
    shown.expect_state("cancelled")
    shown.run()
    shown.expect_state("pending")
    stack.start_worker()
    shown.expect_state("running", 60_000)
    expect(shown.rows.first).to_be_visible(timeout=60_000)
    shown.press("Stop")
    shown.expect_state("cancelled")
