"""What someone at the page waits for, in a real Chromium, and what the web process takes to serve it."""

import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from app.services import Lab
from app.settings import ROOT, Settings
from tests.benchmarks.measuring import made_up_session, quantile
from tests.chromium import launch

PRESSES = 120
REPEAT_MS = 33

# From the key's own time to the second frame after it: the first frame's callback runs before that frame is painted.
LISTEN = """() => {
  window.paints = [];
  addEventListener('keydown', event => requestAnimationFrame(() => requestAnimationFrame(
    () => window.paints.push(performance.now() - event.timeStamp))), {capture: true});
}"""


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, int]]:
    """The lab as it is started over a data folder: its address, and the web process's id."""
    command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if not found:
            raise RuntimeError("the server did not tell its address")
        yield found[0], process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def move_to_paint() -> dict[str, Any]:
    """From a key press that moves the cursor to the painted page, in a session of 2,000 candidates.

    Keys come at repeat speed along candidates, iterations and, in a second round, steps, whose first looks are among
    them. Target: 95% of all moves within 100 ms; those between steps, a seventh of them, are told apart as well.
    """
    with TemporaryDirectory() as folder:
        lab = Lab(Settings(Path(folder), recorded=None))
        record_id = made_up_session(lab, steps=5, iterations=5, candidates=100, own_pictures=True)
        lab.close()
        with served(Path(folder)) as (address, _), chromium() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.goto(f"{address}?session={record_id}&at=2.1.0")
            page.locator(".candidate.at").wait_for()
            page.locator(".charts").scroll_into_view_if_needed()
            page.locator(".charts[data-drawn]").wait_for()
            page.locator(".board").scroll_into_view_if_needed()
            page.locator(".board [role=grid]").focus()
            page.evaluate(LISTEN)
            along = _pressed(page, (["ArrowRight"] * 10 + ["ArrowDown"] + ["ArrowRight"] * 8 + ["ArrowUp"]) * 6)
            steps = _pressed(page, ["]", "["] * 10)
    every = [*along, *steps]
    found = {"moves": len(every), "median_ms": statistics.median(every), "p95_ms": quantile(every, 0.95)}
    return found | {
        "row_median_ms": statistics.median(along),
        "row_p95_ms": quantile(along, 0.95),
        "step_median_ms": statistics.median(steps),
        "step_p95_ms": quantile(steps, 0.95),
        "target_p95_ms": 100,
    }


def _pressed(page: Page, keys: list[str]) -> list[float]:
    """Milliseconds to paint of each key, pressed one after another at repeat speed."""
    page.evaluate("window.paints.length = 0")
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(REPEAT_MS)
    page.wait_for_function(f"window.paints.length === {len(keys)}")
    return page.evaluate("window.paints")


def web_memory() -> dict[str, Any]:
    """Resident memory of `serve`'s web process after its pages and charts were opened. Target: at most 300 MB."""
    with TemporaryDirectory() as folder, served(Path(folder)) as (address, pid), chromium() as browser:
        started = _megabytes(pid, "VmRSS")
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        for path in ("", "library", "status", ""):
            page.goto(address + path)
            page.wait_for_load_state("networkidle")
        page.locator(".charts").scroll_into_view_if_needed()
        page.locator(".charts[data-drawn]").wait_for()
        found = {"started_mb": started, "opened_mb": _megabytes(pid, "VmRSS"), "peak_mb": _megabytes(pid, "VmHWM")}
    return found | {"target_mb": 300}


def _megabytes(pid: int, field: str) -> float:
    """A figure of the kernel's about a process's memory, in units of 10^6 bytes."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    if not found:
        raise RuntimeError(f"the kernel does not tell {field}")
    return int(found[1]) * 1024 / 1e6
