"""Export, import and the check of a session, as a person meets them in a browser."""

import json
import re
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from app.handing import write_bundle
from storage.tables import arm_rewards
from tests.e2e.dropping import dropped
from tests.e2e.fake_train import FakeRuns
from tests.e2e.kept import Kept
from tests.integration.handed import HOSTILE, filled, open_lab
from tests.integration.test_worker import start, worker


@pytest.fixture
def record(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished session of the fake model, which may be checked although no registry knows it."""
    monkeypatch.setattr("app.replaying.check_usable", lambda tx, record_id: None)
    record_id = start(kept.lab, num_steps=6, window_min=0.6)
    assert worker(kept.lab).run_one()
    return record_id


def test_a_session_is_checked_from_its_head(page: Page, kept: Kept, address: str, record: str) -> None:
    page.goto(f"{address}?session={record}")
    check, told = page.get_by_role("button", name="Check by computing again"), page.locator(".lab-replay")
    expect(check).to_be_enabled(timeout=30_000)
    expect(told).to_be_hidden()
    check.click()
    expect(told).to_contain_text("The check waits for its turn.")
    expect(check).to_be_disabled()
    assert worker(kept.lab).run_one()
    expect(told).to_contain_text("it came out the same to the last bit", timeout=15_000)
    expect(told).to_contain_text("with the same versions, device and threads as then")
    expect(check).to_be_enabled()
    here = (arm_rewards.c.record_id == record, arm_rewards.c.arm == "ode")
    with kept.lab.database.write() as tx:
        tx.execute(sa.update(arm_rewards).where(*here).values(value=0.125))
    check.click()
    expect(told).to_contain_text("The check waits for its turn.")
    assert worker(kept.lab).run_one()
    expect(told).to_contain_text("it parts in the outcome of ode: reward shapes-verifier was 0.125", timeout=15_000)
    page.reload()
    expect(told).to_contain_text("it parts in the outcome of ode", timeout=30_000)


def test_what_one_lab_exports_another_imports(
    page: Page, kept: Kept, address: str, record: str, tmp_path: Path
) -> None:
    page.goto(f"{address}?session={record}")
    with page.expect_download() as coming:
        page.get_by_role("link", name="Export").click()
    assert coming.value.suggested_filename == f"lab-{record}.zip"
    coming.value.save_as(tmp_path / "one.zip")
    other = filled(tmp_path / "other")
    with closing(open_lab(tmp_path / "other")) as lab:
        write_bundle(lab.database, lab.artifacts, lab.checkpoints, [*other.values()], tmp_path / "all.zip")
    page.goto(f"{address}library")
    button, told = page.get_by_role("button", name="Import"), page.locator(".lab-import .told")
    take = page.locator(".lab-import input")
    expect(button).to_be_visible()
    take.set_input_files(tmp_path / "one.zip")
    expect(told).to_have_text("Nothing new; 1 record was here already. ")
    take.set_input_files(tmp_path / "all.zip")
    expect(told).to_contain_text("records imported", timeout=30_000)
    expect(page.locator(".records .title", has_text=HOSTILE[1:20])).to_be_visible()
    assert page.evaluate("document.querySelectorAll('.records img[src=\"x\"]').length") == 0
    told.get_by_role("link").click()
    expect(page.locator(".prompt")).to_contain_text("a photo of a red circle", timeout=30_000)


def test_every_head_has_the_same_export(page: Page, kept: Kept, address: str, record: str, tmp_path: Path) -> None:
    """A session's, a measurement's and a fine-tune's own, and a comparison's of all that it shows."""
    fine_tunes = FakeRuns(kept)
    measured = kept.measurement(["a photo of a red circle"])
    trained = fine_tunes.finished(epochs=2, eval_every=2, sample_every=2)
    waiting = fine_tunes.queued(epochs=3)
    pages = {
        f"?session={record}": [record],
        f"reliability?record={measured}": [measured],
        f"train?record={trained}": [trained],
        f"compare?ids={record},{measured},{trained}": [record, measured, trained],
    }
    for path, ids in pages.items():
        page.goto(address + path)
        button = page.locator(".reuse").get_by_role("link", name="Export", exact=True)
        expect(button).to_have_attribute("title", re.compile("^One zip with everything of .*on its page Library$"))
        with page.expect_download() as coming:
            button.click()
        coming.value.save_as(tmp_path / "bundle.zip")
        with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
            told = [one["id"] for one in json.loads(bundle.read("manifest.json"))["records"]]
        assert set(ids) <= set(told), "and the searches that a fine-tune watched"
    for path, told in {
        f"train?record={waiting}": "Waiting",
        f"compare?ids={trained},{waiting}": "Waiting",
        f"compare?records={trained},gone1": "There is no such record here",
    }.items():
        page.goto(address + path)
        expect(page.locator(".train-stage .head, .side-head").last).to_contain_text(told)
        expect(page.locator(".reuse").get_by_role("link", name="Export")).to_be_hidden()


def test_a_zip_is_dropped_on_the_library_and_a_picture_is_refused(
    page: Page, address: str, record: str, kept: Kept, tmp_path: Path
) -> None:
    write_bundle(kept.lab.database, kept.lab.artifacts, kept.lab.checkpoints, [record], tmp_path / "one.zip")
    page.goto(f"{address}library")
    told = page.locator(".lab-import .told")
    expect(page.get_by_role("button", name="Import")).to_be_visible()
    page.evaluate(
        """() => { const carried = new DataTransfer(); carried.items.add(new File(['x'], 'x.zip'));
          document.body.dispatchEvent(new DragEvent('dragenter', {bubbles: true, dataTransfer: carried})); }"""
    )
    expect(page.locator(".lab-veil")).to_have_text("Drop a zip of records to import them")
    expect(page.locator(".lab-veil")).to_have_css("position", "fixed")
    dropped(page, b"a picture")
    expect(told).to_contain_text("This is a picture: page Explore reads its settings.")
    dropped(page, b"a zip", "a.zip", kind="application/zip", times=2)
    expect(told).to_have_text("One zip at a time: drop a single one.")
    dropped(page, (tmp_path / "one.zip").read_bytes(), "one.zip", kind="application/zip")
    expect(told).to_have_text("Nothing new; 1 record was here already. ")
    expect(page.locator(".lab-veil")).to_be_hidden()


def test_a_file_that_is_no_bundle_is_refused_in_words(page_with_errors: Page, address: str, tmp_path: Path) -> None:
    page = page_with_errors
    (tmp_path / "no.zip").write_bytes(b"hello" * 1000)
    page.goto(f"{address}library")
    page.locator(".lab-import input").set_input_files(tmp_path / "no.zip")
    told = page.locator(".lab-import .told")
    expect(told).to_have_text("Nothing was taken from the file: it is not a whole zip: its end is missing.")
    expect(page.get_by_role("button", name="Import")).to_be_enabled()
    (tmp_path / "empty.zip").write_bytes(b"")
    page.locator(".lab-import input").set_input_files(tmp_path / "empty.zip")
    expect(told).to_have_text("Expected a zip of records, got nothing.")
