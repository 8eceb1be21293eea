"""Page Train over a real lab whose fine-tunes are recorded by hand: from the form to a model that opens in Explore."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from app.train_runs import TrainRuns
from storage import jobs, runs
from tests.e2e.fake_train import EQUAL, SAMPLED, FakeRuns, trial_result
from tests.e2e.kept import Kept

HOSTILE = "<img src=x onerror=\"document.title='taken'\"> & \u202e \"'</script><script>document.title='taken'</script>"


@pytest.fixture
def trained(kept: Kept) -> FakeRuns:
    return FakeRuns(kept)


def field(page: Page, name: str) -> Locator:
    return page.locator(f"#train-{name.replace('.', '-')}")


def wrong(page: Page, name: str) -> Locator:
    return page.locator(f"[data-field='{name}'] .wrong")


def opened(page: Page, address: str, query: str = "") -> None:
    page.goto(f"{address}train{query}")
    expect(page.locator(".train-stage[data-state]")).to_be_visible()


def unfold(page: Page) -> None:
    page.locator(".train-form details.more").evaluate_all("all => all.forEach(one => { one.open = true; })")


def place_in_address(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_from_the_form_through_living_curves_to_the_end(page: Page, address: str, trained: FakeRuns) -> None:
    opened(page, address)
    expect(page.get_by_role("heading", name="Nothing has been trained here yet")).to_be_visible()
    expect(page.locator(".lab-masthead a[aria-current]")).to_have_text("Train")
    field(page, "preset").select_option("smart-grpo-half")
    expect(field(page, "searched_fraction")).to_have_value("0.5")
    field(page, "epochs").fill("12")
    expect(page.locator(".train-form .cost")).to_contain_text("in 12 epochs")
    expect(page.locator(".train-form .cost")).to_contain_text("of them the search")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".train-stage[data-state='pending']")).to_be_visible()
    page.wait_for_url(lambda url: "record=" in url)
    record = place_in_address(page)["record"]
    expect(page.locator(".train-stage .status")).to_contain_text("Waiting for its turn")
    expect(page.locator(".train-stage h2.name")).to_have_text("smart-grpo-half: shapes train")
    expect(page.locator(".lead-in")).to_contain_text("searched for 50% of each group (5 candidates, 5 iterations)")
    expect(page.locator(".panel:visible")).to_have_count(0)

    trained.begin(record)
    trained.train(record, 0, 5, diagnosis=[EQUAL])
    expect(page.locator(".train-stage .status")).to_contain_text("Epoch 6 of 12 is under way")
    expect(page.locator(".diagnosis li")).to_have_text([EQUAL])
    expect(page.locator(".curves .chart-part[data-drawn]").first).to_be_visible()
    expect(page.locator("[data-chart='reward'] h4")).to_contain_text("Training reward")
    drawn = page.locator("[data-chart='reward'] .scatterlayer .js-line").last
    before = drawn.get_attribute("d")
    expect(page.locator(".sample-card")).to_have_count(8)
    expect(page.get_by_role("slider", name="Epoch", exact=True)).to_be_disabled()
    trained.train(record, 6, 12)
    trained.finish(record)
    expect(page.locator(".train-stage[data-state='succeeded']")).to_be_visible()
    expect(page.locator(".headline")).to_contain_text("0.585 \u2192")
    expect(page.locator(".headline")).to_contain_text("exactly right: 44% \u2192")
    expect(drawn).not_to_have_attribute("d", before or "")
    expect(page.locator("output.epoch")).to_have_text("Epoch 12")
    expect(page.locator(".transport")).to_be_hidden()


def test_only_what_differs_from_the_preset_is_asked_for(page: Page, address: str, kept: Kept) -> None:
    opened(page, address)
    asked = []
    page.on("request", lambda one: asked.append(one.post_data) if one.url.endswith("/lab/api/train") else None)
    field(page, "preset").select_option("smart-grpo")
    unfold(page)
    field(page, "search.num_candidates").fill("7")
    field(page, "prompt_set").select_option("")
    field(page, "prompts").fill("a photo of a red circle\n\n# a remark\n a photo of a blue star ")
    page.get_by_label("Add a reward").select_option("jpeg-compressibility")
    page.get_by_label("Weight of JPEG compressibility").fill("0.5")
    page.get_by_role("button", name="Leave out Shapes CLIP (learned)").click()
    field(page, "noise_level").fill("0.9")
    field(page, "ema").uncheck()
    field(page, "preset").select_option("smart-grpo-half")  # changes what differs between the two and nothing else
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url(lambda url: "record=" in url)
    assert json.loads(asked[0]) == {
        "preset": "smart-grpo-half",
        "name": "smart-grpo-half: own prompts",
        "prompts": ["a photo of a red circle", "a photo of a blue star"],
        "rewards": {"shapes-verifier": 1, "jpeg-compressibility": 0.5},
        "noise_level": 0.9,
        "ema": False,
        "search": {"preset": "smart-grpo, changed", "num_candidates": 7},
    }
    view = TrainRuns(kept.lab).view(place_in_address(page)["record"])
    assert view and view["config"]["searched_fraction"] == 0.5 and view["config"]["search"]["num_iterations"] == 5

    page.reload()
    page.get_by_role("button", name="Use these settings").click()
    expect(field(page, "search.num_candidates")).to_have_value("7")
    expect(field(page, "search.preset")).to_have_value("smart-grpo")
    expect(field(page, "prompts")).to_have_value("a photo of a red circle\na photo of a blue star")
    expect(page.locator(".weight")).to_have_count(2)


def test_problems_stand_beside_their_fields_and_nothing_is_lost(page_with_errors: Page, address: str) -> None:
    page = page_with_errors
    opened(page, address, "?record=nothere12345")
    expect(page.locator(".notice.bad")).to_contain_text("nothere12345")
    field(page, "prompt_set").select_option("")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(wrong(page, "prompts")).to_contain_text("expected a prompt a line")
    field(page, "prompts").fill("a photo of a red circle")
    warned = page.locator("[data-field='prompts'] .hint.warned")
    expect(warned).to_contain_text("1 line: with fewer than 8 all are trained and judged on")
    expect(page.locator(".train-form .cost")).to_contain_text("Judged on 1 caption that it is trained on")
    field(page, "prompts").fill("\n".join(f"a cat, take {number}" for number in range(8)))
    expect(wrong(page, "rewards")).to_contain_text("it cannot judge 'a cat, take 0'")  # while it is typed
    expect(page.locator(".train-form .cost")).to_have_text("What it costs is told once what is marked is right.")
    expect(warned).to_have_count(0)
    field(page, "prompts").fill("a photo of a red circle")
    expect(wrong(page, "rewards")).to_be_empty()
    unfold(page)
    field(page, "window_min").fill("0.97")
    expect(wrong(page, "window_min")).to_contain_text("expected at most Window up to \u03c3 (0.95), got 0.97")
    field(page, "window_min").fill("0.85")
    for name in ("Shapes verifier (partial credit)", "Shapes CLIP (learned)"):
        page.get_by_role("button", name=f"Leave out {name}").click()
    expect(wrong(page, "rewards")).to_contain_text("rewards with weights, got none")
    page.get_by_label("Add a reward").select_option("shapes-clip")
    expect(wrong(page, "rewards")).to_be_empty()
    field(page, "epochs").fill("0")
    unfold(page)
    field(page, "lora_rank").fill("")
    page.locator(".train-form details.more").evaluate_all("all => all.forEach(one => { one.open = false; })")
    for weight in page.locator(".weight input").all():
        weight.fill("0")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(wrong(page, "epochs")).to_contain_text("expected a whole number from 1")
    expect(wrong(page, "lora_rank")).to_contain_text("got nothing")
    expect(wrong(page, "rewards")).to_contain_text("at least one reward with a weight other than 0")
    expect(field(page, "lora_rank")).to_be_visible()
    expect(wrong(page, "prompts")).to_be_empty()
    expect(field(page, "prompts")).to_have_value("a photo of a red circle")


def test_a_stored_search_becomes_a_fine_tune(page: Page, address: str, kept: Kept) -> None:
    session = kept.finished(SAMPLED[0], preset="smart-grpo-sde", rewards={"search": 0.7, "no_search": 0.5})
    page.goto(f"{address}?session={session}")
    page.get_by_role("link", name="Train with this search").click()
    expect(page.locator(".train-form .from")).to_contain_text(SAMPLED[0])
    expect(field(page, "noise_source")).to_have_value("search")
    expect(field(page, "guidance_scale")).to_have_value("4.5")
    expect(field(page, "search.preset")).to_have_value("smart-grpo-sde")
    expect(field(page, "search.reading")).to_have_value("sde")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_url(lambda url: "record=" in url)
    view = TrainRuns(kept.lab).view(place_in_address(page)["record"])
    assert view and view["config"]["search"]["preset"] == "smart-grpo-sde" and view["config"]["window_max"] == 0.8
    assert view["config"]["rewards"] == {"shapes-clip": 1.0, "shapes-verifier": 0.0}


def test_it_is_driven_from_the_page(page: Page, address: str, trained: FakeRuns, kept: Kept) -> None:
    record = trained.queued()
    trained.begin(record)
    trained.train(record, 0, 3)
    page.set_viewport_size({"width": 390, "height": 400})  # no chart in sight: they take a busy machine seconds
    opened(page, address, f"?record={record}")
    button = {
        name: page.get_by_role("button", name=name, exact=True)
        for name in ("Pause", "Continue", "Save now", "Sample now", "Stop")
    }
    asked = []
    page.on("request", lambda one: asked.append(json.loads(one.post_data or "{}")) if "command" in one.url else None)
    button["Sample now"].click()
    expect(page.locator(".soon")).to_contain_text("Samples are drawn at the end of this epoch")
    expect(button["Sample now"]).to_be_disabled()
    trained.train(record, 4, 4)
    trained.sample(record, 4)
    expect(page.locator("output.epoch")).to_have_text("Epoch 4")
    expect(button["Sample now"]).to_be_enabled()
    button["Save now"].click()
    expect(page.locator(".soon")).to_contain_text("A checkpoint is made")
    trained.save(record, 4)
    expect(page.locator(".stored tbody tr")).to_have_count(1)
    expect(button["Save now"]).to_be_enabled()
    button["Pause"].click()
    expect(button["Pause"]).to_be_disabled()
    expect(page.locator(".chip-state")).to_have_text("Pausing")
    kept.pause(record)
    expect(page.locator(".train-stage .status")).to_contain_text("Paused after epoch 4 of 40")
    expect(button["Save now"]).to_be_hidden()
    button["Continue"].click()
    expect(page.locator(".train-stage[data-state='pending']")).to_be_visible()
    trained.begin(record)
    option = page.locator(f".others option[value='{record}']")
    expect(option).to_contain_text("(running, ")
    button["Stop"].click()
    expect(page.locator(".chip-state")).to_have_text("Stopping")
    expect(page.locator(".soon")).to_contain_text("Stopping\u2026 at the end of this epoch")
    for name in ("Stop", "Pause", "Save now", "Sample now"):
        expect(button[name]).to_be_disabled()
    expect(option).to_contain_text("(stopping, ")
    page.reload()
    expect(page.locator(".chip-state")).to_have_text("Stopping")
    trained.save(record, 4)
    kept.end(record, "cancelled")
    expect(page.locator(".train-stage[data-state='cancelled']")).to_be_visible()
    expect(page.locator(".train-stage .status")).to_contain_text("Continue goes on from the checkpoint of epoch 4")
    expect(button["Stop"]).to_be_hidden()
    button["Continue"].click()
    expect(page.locator(".train-stage[data-state='pending']")).to_be_visible()
    assert [one["kind"] for one in asked] == ["sample", "save", "pause", "continue", "cancel", "continue"]


def test_one_slider_moves_samples_swipe_and_charts(page: Page, address: str, trained: FakeRuns) -> None:
    record = trained.finished()
    opened(page, address, f"?record={record}")
    slider = page.get_by_role("slider", name="Epoch", exact=True)
    expect(page.locator("output.epoch")).to_have_text("Epoch 40")
    under = page.locator(".samples .swipe .whole .face").first
    last = under.get_attribute("style")
    rule = page.locator("[data-chart='heldout'] .chart-rule")
    expect(rule).to_be_visible()
    where, style = rule.bounding_box(), rule.get_attribute("style")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("output.epoch")).to_have_text("Epoch 20")
    expect(page.locator(".samples .swipe .side")).to_have_text(["Epoch 0", "Epoch 20"])
    assert under.get_attribute("style") != last
    page.locator("[data-chart='heldout']").scroll_into_view_if_needed()  # one out of sight is brought up to date then
    expect(rule).not_to_have_attribute("style", style or "")
    now = rule.bounding_box()
    assert where and now and now["x"] < where["x"] - 20
    page.locator(".sample-card").nth(2).click()
    expect(page.locator(".samples .beside .note")).to_contain_text(SAMPLED[2])
    page.wait_for_url(lambda url: "epoch=20" in url and "prompt=2" in url)
    page.reload()
    expect(page.locator("output.epoch")).to_have_text("Epoch 20")
    page.get_by_text("Every epoch side by side").click()
    expect(page.locator(".sheets .cell")).to_have_count(8 * 5)
    page.locator(".sheets .cell[aria-pressed='true']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".sheets .cell:focus")).to_have_attribute("data-epoch", "30")
    expect(page.locator(".sample-card[aria-pressed='true']")).to_contain_text(SAMPLED[3])
    page.locator(".curves h3").scroll_into_view_if_needed()  # charts are drawn in sight
    page.get_by_label("Over").select_option("nfe")
    expect(page.locator("[data-chart='reward'] .xtitle")).to_have_text("Velocity evaluations")
    for part in page.locator(".curves .chart-part").all():
        part.scroll_into_view_if_needed()
        expect(part).to_have_attribute("data-drawn", re.compile("nfe"))
        expect(page.locator(".curves .chart-trouble")).to_be_hidden()
    page.get_by_role("button", name="Show as tables").click()
    expect(page.locator("[data-chart='heldout'] .chart-table tbody tr.here")).to_have_count(1)
    page.locator(".part-title").nth(2).scroll_into_view_if_needed()
    expect(page.locator("[data-chart='clip'] .chart-table tbody tr")).to_have_count(40)


def test_what_it_made_is_taken_away_and_opened(page: Page, address: str, trained: FakeRuns, kept: Kept) -> None:
    record = trained.finished(watch_every=20, name="a careful one")
    opened(page, address, f"?record={record}")
    for link, name in (("Metrics .csv", "csv"), ("Settings .json", "json")):
        with page.expect_download() as told:
            page.get_by_role("link", name=link).click()
        assert told.value.suggested_filename == f"train-{record}.{name}"
    with page.expect_download() as told:
        page.get_by_role("link", name="LoRA .safetensors").click()
    assert Path(told.value.path()).read_bytes().startswith(b"ema/pytorch_lora_weights.safetensors 40")
    page.get_by_text("4 checkpoints").click()
    expect(page.locator(".stored tbody th")).to_have_text(["40", "30", "20", "10"])
    with page.expect_download() as told:
        page.locator(".stored tbody tr").nth(1).get_by_role("link", name="as trained").click()
    assert Path(told.value.path()).read_bytes().startswith(b"pytorch_lora_weights.safetensors 30")
    watched = TrainRuns(kept.lab).view(record)["watched"]  # type: ignore[index]
    links = page.locator(".watched a")
    expect(links).to_have_text(["Epoch 20", "Epoch 40"])
    expect(links.first).to_have_attribute("href", re.compile(rf"session={watched[0]['session']}$"))

    page.get_by_role("link", name="Open the trained model in Explore").click()
    expect(page.locator(".lab-said")).to_contain_text("The trained model", timeout=30_000)
    expect(page.locator("#field-model input")).to_have_value(re.compile("^a careful one"))
    expect(page.locator("#field-prompt textarea")).to_have_value(SAMPLED[0])
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(lambda url: "session=" in url)
    session = place_in_address(page)["session"]
    assert kept.lab.config_of(session).model == f"shapes-sd3+{record}"
    expect(page.locator(".lab-session .meta")).to_contain_text("a\u00a0careful\u00a0one")


def test_it_is_judged_with_and_without_a_search(page: Page, address: str, trained: FakeRuns, kept: Kept) -> None:
    record = trained.finished()
    opened(page, address, f"?record={record}")
    page.locator("#trial-prompts").fill("8")
    page.locator("#trial-search").select_option("smart-grpo")
    page.get_by_role("button", name="Evaluate").click()
    expect(page.locator(".trial")).to_contain_text("Epoch 40, 8 prompts, search smart-grpo: waiting.")
    with kept.lab.database.write() as tx:
        claim = jobs.claim(tx, lane="batch", owner="judge-of-the-test", lease_seconds=3600)
    expect(page.locator(".trial")).to_contain_text("running")
    with kept.lab.database.write() as tx:
        assert claim and claim.record_id == record
        runs.save_trial(tx, record, claim.payload["trial"], result=trial_result(runs.get_config(tx, record)))
        jobs.finish(tx, claim, "succeeded")
    expect(page.locator(".trial .numbers").first.locator("tbody tr")).to_have_count(6)
    expect(page.locator(".trial .gains .up").first).to_have_text("+0.080 [0.040, 0.120]")
    expect(page.locator(".trial .gains .even").first).to_have_text("+0.020 [\u22120.020, 0.060]")


def test_a_failure_is_told_and_what_was_made_stays(page: Page, address: str, trained: FakeRuns, kept: Kept) -> None:
    record = trained.queued()
    trained.begin(record)
    trained.train(record, 0, 11)
    kept.end(record, "failed", "the loss is not a number")
    opened(page, address, f"?record={record}")
    expect(page.locator(".train-stage .status")).to_contain_text(
        "Stopped by an error after epoch 11 of 40: the loss is not a number. What was made until then is kept; "
        "Continue goes on from the checkpoint of epoch 10."
    )
    expect(page.get_by_role("link", name="LoRA .safetensors")).to_be_visible()
    page.get_by_role("heading", name="Log and machine").click()
    expect(page.locator(".log pre")).to_contain_text("epoch 11:")
    expect(page.locator(".machine")).to_contain_text("98,304 of 2,000,000")


def test_hostile_text_is_only_text(page_with_errors: Page, address: str, trained: FakeRuns) -> None:
    page = page_with_errors
    record = trained.queued(name=HOSTILE, prompts=(HOSTILE,))
    trained.begin(record)
    trained.train(record, 0, 5, diagnosis=[HOSTILE])
    trained.recorders[record].output.say(HOSTILE)
    trained.train(record, 6, 10)
    opened(page, address, f"?record={record}")
    expect(page.locator(".train-stage h2.name")).to_contain_text("<img src=x")
    expect(page.locator(".diagnosis li")).to_contain_text("<img src=x")
    expect(page.locator(".log pre")).to_contain_text("<img src=x")
    page.get_by_role("button", name="Use these settings").click()
    expect(field(page, "prompts")).to_have_value(HOSTILE)
    page.goto(f"{address}library")
    expect(page.locator(".record .title")).to_contain_text("<img src=x")
    assert "taken" not in page.title()


def test_library_queue_and_tab_tell_of_it(page: Page, address: str, trained: FakeRuns) -> None:
    record = trained.queued()
    trained.begin(record)
    trained.train(record, 0, 10)
    page.goto(f"{address}library")
    expect(page.locator(".record .title")).to_have_text("flow-grpo: shapes-train")
    expect(page.locator(".record .meta")).to_have_text("Fine-tune \u00b7 flow-grpo \u00b7 Shapes (embedded)")
    expect(page.locator(".record .gain.up")).to_contain_text("over the start")
    expect(page).to_have_title(re.compile(r"^25% - "))
    page.get_by_role("button", name=re.compile("^Queue")).click()
    expect(page.locator(".lab-drawer .job .line")).to_contain_text("fine-tuning")
    page.locator(".lab-drawer .job .title").click()
    expect(page.locator(".sample-card").first).to_be_visible()
    assert place_in_address(page)["record"] == record


def test_a_narrow_dark_page_keeps_its_width(page: Page, address: str, trained: FakeRuns) -> None:
    record = trained.finished()
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, address, f"?record={record}&__theme=dark")
    expect(page.locator(".sample-card").first).to_be_visible()
    page.get_by_text("Every epoch side by side").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="New fine-tune").click()
    expect(field(page, "preset")).to_be_in_viewport()
    assert page.locator(".train-stage").bounding_box()["y"] < page.locator(".train-form").bounding_box()["y"]  # type: ignore[index]
