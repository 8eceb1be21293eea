"""The README's pictures: `python -m tests.e2e.pictures [DATA_DIR]`.

Explore shows the recording that a fresh lab opens with; with a data folder the other pages show what lies there.
"""

import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, sync_playwright

from app.server import create_app
from app.services import Lab
from app.settings import Settings
from tests.chromium import launch

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "pictures"


@dataclass(frozen=True)
class Shot:
    """A page at an address below the lab's, once `ready` is there; the whole page, or as high as `height`."""

    name: str
    path: str
    ready: str
    width: int = 1440
    scheme: str = "light"
    height: int | None = None


FRESH = (
    Shot("explore", "", ".arm img"),
    Shot("explore-dark", "", ".arm img", scheme="dark"),
    Shot("explore-narrow", "", ".arm img", width=390),
)
STORED = (
    Shot("reliability", "reliability", ".lab-reliability [data-drawn]", height=1900),
    Shot("library", "library", ".record img", height=900),
)


@contextmanager
def served(data: Path) -> Iterator[str]:
    """A lab over a data folder, without a worker; its address."""
    lab = Lab(Settings(data_dir=data))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(lab), log_level="error"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(timeout=10)
    lab.close()


def photograph(browser: Browser, address: str, shots: Sequence[Shot]) -> None:
    """Take the shots into FOLDER."""
    for shot in shots:
        size = {"width": shot.width, "height": shot.height or 900}
        page = browser.new_page(viewport=size, color_scheme=shot.scheme)  # type: ignore[arg-type]
        page.goto(address + shot.path, wait_until="networkidle")
        page.locator(shot.ready).first.wait_for()
        if shot in FRESH:  # charts are drawn only when they come into sight
            page.locator(".charts").scroll_into_view_if_needed()
            page.locator(".charts[data-drawn]").wait_for()
        page.wait_for_timeout(2000)  # charts fit themselves to their places
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=FOLDER / f"{shot.name}.png", full_page=shot.height is None)
        page.close()


def main() -> None:
    """Photograph a fresh lab, and the one in the data folder that was named."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as fresh:
        browser = launch(playwright)
        with served(Path(fresh)) as address:
            photograph(browser, address, FRESH)
        if len(sys.argv) > 1:
            with served(Path(sys.argv[1])) as address:
                photograph(browser, address, STORED)
        browser.close()


if __name__ == "__main__":
    main()
