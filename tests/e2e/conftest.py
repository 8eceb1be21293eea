"""A browser, and sites served from this process over whatever lab a test gives them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from app.server import create_app
from tests.chromium import launch
from tests.e2e.fake_lab import FakeLab
from tests.e2e.kept import Kept, Stage, open_kept

expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Any], str]]:
    """Serve a lab at a free port; returns the address."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(lab: Any) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(lab), log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        servers.append((server, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> FakeLab:
    """One slow enough to be watched and paused; a candidate of step 6 has no number for a reward."""
    return FakeLab(tmp_path_factory.mktemp("pictures"), delay=0.1, broken=frozenset({(5, 1, 2)}))


@pytest.fixture
def unhurried(lab: FakeLab) -> Iterator[FakeLab]:
    """The lab at a pace at which a browser on a busy machine can press buttons; a test may set `delay` again."""
    usual, lab.delay = lab.delay, 1.0
    yield lab
    lab.delay = usual


@pytest.fixture(scope="session")
def site(serve: Callable[[Any], str], lab: FakeLab) -> str:
    return serve(lab)


@pytest.fixture(scope="session")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """Where the tests' pages are opened one after the other: a page has only to load what none before it had."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, reduced_motion="reduce")
    yield context
    context.close()


@contextmanager
def first_visit(window: BrowserContext) -> Iterator[Page]:
    """A page of a person who was never here: afterwards nothing of it is left but files in the browser's cache."""
    page = window.new_page()
    origins: set[str] = set()
    page.on("framenavigated", lambda frame: origins.add(urlsplit(frame.url)._replace(path="", query="").geturl()))
    yield page
    storage = window.new_cdp_session(page)
    for origin in origins:
        storage.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage"})
    window.clear_cookies()
    window.clear_permissions()
    for opened in window.pages:
        opened.close()


@pytest.fixture
def page(window: BrowserContext) -> Iterator[Page]:
    """A page that fails its test if it printed an error, lacked a file, or asked another machine for anything."""
    wrong: list[str] = []
    hosts: set[str] = set()
    with first_visit(window) as page:
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("response", lambda answer: wrong.append(answer.url) if answer.status >= 400 else None)
        page.on("request", lambda asked: hosts.add(asked.url.split("/")[2]) if asked.url.startswith("http") else None)
        yield page
    assert not wrong
    assert len(hosts) <= 1, hosts


@pytest.fixture
def page_with_errors(window: BrowserContext) -> Iterator[Page]:
    """A page whose test makes requests fail: only an error that its scripts did not expect fails it."""
    wrong: list[str] = []
    with first_visit(window) as page:
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
    assert not wrong


@pytest.fixture(scope="session")
def stage(serve: Callable[[Any], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, str]]:
    """One site for every test of a real lab, and its address: making a site takes seconds."""
    stage = Stage()
    first = open_kept(tmp_path_factory.mktemp("stage"))
    stage.lab = first.lab
    yield stage, serve(stage)
    first.lab.close()


@pytest.fixture
def kept(stage: tuple[Stage, str], tmp_path: Path) -> Iterator[Kept]:
    """A real lab of the test's own, served at `address`."""
    opened = open_kept(tmp_path / "data")
    stage[0].lab = opened.lab
    yield opened
    opened.lab.close()


@pytest.fixture
def address(stage: tuple[Stage, str], kept: Kept) -> str:
    return stage[1]
