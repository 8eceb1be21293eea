"""The system's Chromium, as the tests, the benchmarks and the README's pictures start it."""

from pathlib import Path

from playwright.sync_api import Browser, Playwright

# The shell is the same engine without a browser's own windows and services around it: it loads a page in half the time.
PLACES = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")


def launch(playwright: Playwright) -> Browser:
    """A browser without a window. RuntimeError where there is none."""
    found = next((place for place in PLACES if Path(place).exists()), None)
    if found is None:
        raise RuntimeError(f"expected Chromium from the system's packages at one of {', '.join(PLACES)}")
    return playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
