"""The README's pictures, taken of the recorded session: `python -m tests.e2e.pictures`."""

import socket
import tempfile
import threading
import time
from pathlib import Path

import uvicorn
from playwright.sync_api import sync_playwright

from app.server import create_app
from app.services import Lab
from app.settings import Settings
from tests.chromium import launch

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "pictures"
SHOTS = (("explore", 1440, "light"), ("explore-dark", 1440, "dark"), ("explore-narrow", 390, "light"))


def main() -> None:
    """Serve a fresh lab, which opens with the recording, and photograph the whole page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, socket.create_server(("127.0.0.1", 0)) as listener:
        lab = Lab(Settings(data_dir=Path(data)))
        server = uvicorn.Server(uvicorn.Config(create_app(lab), log_level="error"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        with sync_playwright() as playwright:
            browser = launch(playwright)
            for name, width, scheme in SHOTS:
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page.goto(f"http://127.0.0.1:{listener.getsockname()[1]}/", wait_until="networkidle")
                page.locator(".arm img").first.wait_for()
                page.screenshot(path=FOLDER / f"{name}.png", full_page=True)
            browser.close()
        server.should_exit = True
        thread.join(timeout=10)
        lab.close()


if __name__ == "__main__":
    main()
