"""Page Reliability over a real lab whose measurements are stored by hand: from the form to a click in the scatter."""

import json
import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from app.measurements import Measurements
from tests.e2e.explore_page import Explore
from tests.e2e.kept import Kept

PROMPTS = (
    "a photo of a red circle",
    "a photo of two blue stars",
    "a photo of a green square",
    "a photo of three circles",
    "a photo of a black triangle",
)
HOSTILE = "<img src=x onerror=\"document.title='taken'\"> & \u202e \"'</script><script>document.title='taken'</script>"


def field(page: Page, name: str) -> Locator:
    return page.locator(f"#rel-{name}")


def wrong(page: Page, name: str) -> Locator:
    return page.locator(f"[data-field='{name}'] .wrong")


def opened(page: Page, address: str, query: str = "") -> None:
    page.goto(f"{address}reliability{query}")
    expect(page.locator(".rel-stage[data-state]")).to_be_visible()


def dots(page: Page) -> Locator:
    """The scatter's points; charts are drawn when they come into sight."""
    page.locator(".versus h3").scroll_into_view_if_needed()
    return page.locator(".versus .scatterlayer .point")


def place_in_address(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_from_the_form_to_a_click_in_the_scatter(page: Page, address: str, kept: Kept) -> None:
    opened(page, address)
    expect(page.get_by_role("heading", name="Nothing has been measured here yet")).to_be_visible()
    expect(page.locator(".lab-masthead a[aria-current]")).to_have_text("Reliability")
    field(page, "set").select_option("")
    field(page, "prompts").fill("\n".join(PROMPTS))
    field(page, "num_siblings").fill("8")
    field(page, "num_elites").evaluate("field => field.closest('details').open = true")
    field(page, "num_steps").fill("5")
    expect(page.locator(".rel-form .cost")).to_contain_text("in 5 rows")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".rel-stage[data-state='pending']")).to_be_visible()
    page.wait_for_url(lambda url: "record=" in url)
    record = place_in_address(page)["record"]
    expect(page.locator(".rel-stage .status")).to_contain_text("Waiting for its turn")
    expect(page.locator(".panel:visible")).to_have_count(0)

    kept.claim_measurement(record)
    kept.measure_on(record, 1, steps=2)
    expect(page.locator(".guesses .guess").first).to_be_visible()
    expect(page.locator(".others option").first).to_contain_text("(running, ")
    expect(page.locator(".guesses .line.heads .head")).to_have_count(3)
    expect(page.locator(".versus")).to_be_hidden()
    kept.measure_on(record, 2)
    expect(page.locator(".rel-stage .status")).to_contain_text("2 of 5 rows done")
    expect(dots(page)).to_have_count(16)
    kept.measure_on(record, 3, end=True)
    expect(page.locator(".rel-stage[data-state='succeeded']")).to_be_visible()
    expect(dots(page)).to_have_count(40)

    view = Measurements(kept.lab).view(record)
    assert view and view["sentence"]
    expect(page.locator(".said")).to_have_text(view["sentence"])
    dots(page).nth(5).click(force=True)
    pair = page.locator(".beside .one-sibling")
    expect(pair.locator(".face")).to_have_count(2)
    expect(pair.locator(".verdict")).to_contain_text(
        re.compile(r"The guess ranks it \d+\w\w of 8; it really ended \d+")
    )
    sheets = pair.locator(".face").evaluate_all("faces => faces.map(face => face.style.backgroundImage)")
    assert len(set(sheets)) == 2 and all("/artifacts/" in one for one in sheets)


def test_a_link_opens_the_very_place_and_moves_are_kept_in_the_address(page: Page, address: str, kept: Kept) -> None:
    record = kept.measurement(PROMPTS, seeds=(0, 7))
    opened(page, address, f"?record={record}&step=1&row=3&estimate=literal")
    expect(page.locator(".step-name")).to_have_text("Step 2, \u03c3 0.92")
    expect(page.get_by_label("Estimate", exact=True)).to_have_value("literal")
    expect(page.get_by_label("Prompt and seed")).to_have_value("3")
    expect(page.locator(".guesses .head.here b")).to_have_text("2")
    page.get_by_role("button", name="Step after").click()
    page.get_by_label("Prompt and seed").select_option("4")
    page.get_by_label("Estimate", exact=True).select_option("3-step")
    page.wait_for_url(lambda url: "step=2" in url and "row=4" in url and "estimate=3-step" in url)
    page.reload()
    expect(page.locator(".guesses .head.here b")).to_have_text("3")
    expect(page.get_by_label("Prompt and seed")).to_have_value("4")


def test_frames_tell_ranks_and_a_cell_opens_guess_and_truth(page: Page, address: str, kept: Kept) -> None:
    record = kept.measurement(PROMPTS)
    opened(page, address, f"?record={record}&step=0&row=1&estimate=sde")
    row = Measurements(kept.lab).row(record, 1)
    at = row["steps"][0]
    guessed, real = at["proxy"]["sde"]["shapes-clip"], at["truth"]["shapes-clip"]
    expect(page.locator(".guesses .guess[data-step='0']")).to_have_count(6)
    page.get_by_role("button", name="Show the 6 between").click()
    column = page.locator(".guesses .guess[data-step='0']")
    expect(column).to_have_count(12)
    order = [int(cell) for cell in column.evaluate_all("cells => cells.map(cell => cell.dataset.sibling)")]
    assert order == sorted(range(12), key=lambda k: -real[k])
    for k in range(12):
        rank, end = (1 + sum(other > values[k] for other in values) for values in (guessed, real))
        apart = abs(rank - end) / 11
        grade = "agrees" if apart <= 0.2 else "near" if apart <= 0.6 else "misjudged"
        cell = page.locator(f".guess[data-step='0'][data-sibling='{k}']")
        expect(cell).to_have_class(re.compile(rf"\b{grade}\b"))
        expect(cell.locator(".ranks")).to_have_text(f"{rank} \u2192 {end}")
    column.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".guess:focus")).to_have_attribute("data-line", "1")
    expect(page.locator(".guess:focus")).to_have_attribute("data-step", "1")
    expect(page.locator(".lab-popover .face")).to_have_count(2)
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.pair-dialog")
    expect(dialog.locator(".verdict")).to_contain_text("it really ended 2nd")
    page.keyboard.press("ArrowRight")
    expect(dialog.locator(".verdict")).to_contain_text("it really ended 3rd")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.locator(".guesses .head").nth(3).click()
    expect(page.locator(".guesses .head.truth")).to_contain_text("of step 4")


def test_the_worst_misjudged_tables_and_strategies(page: Page, address: str, kept: Kept) -> None:
    record = kept.measurement(PROMPTS)
    opened(page, address, f"?record={record}&step=0&row=0&estimate=literal")
    asked = {"step": "0", "estimate": "literal"}
    worst = Measurements(kept.lab).points(record, asked)["worst"][0]
    page.get_by_role("button", name="Worst misjudged").click()
    expect(page.locator(".worst button[aria-pressed='true']")).to_contain_text(
        f"row {worst['row'] + 1}, sibling {worst['sibling'] + 1}"
    )
    expect(page.locator(".worst .face")).to_have_count(20)
    expect(page.locator(".beside h4")).to_have_text(f"Step 1, \u03c3 1.00: sibling {worst['sibling'] + 1}")
    page.get_by_role("button", name="Show as table", exact=True).click()
    expect(page.locator(".point-table tbody tr")).to_have_count(60)
    expect(page.locator(".point-table tr.here")).to_have_count(1)
    page.get_by_role("button", name="Show as tables").click()
    expect(page.locator(".curves .chart-table table").first).to_contain_text("sde")
    rows = page.locator(".simulation tbody tr")
    expect(rows.last).to_contain_text("whole way")
    page.get_by_label("Candidates drawn").select_option("12")
    expect(rows.nth(1)).to_contain_text("best of 12, literal")
    with page.expect_download() as told:
        page.get_by_role("link", name="Table .csv").click()
    assert told.value.suggested_filename == f"reliability-{record}.csv"
    with page.expect_download() as told:
        page.get_by_role("link", name="Arrays .npz").click()
    assert told.value.suggested_filename == f"reliability-{record}.npz"


def test_the_window_is_searched_on_explore(page: Page, address: str, kept: Kept) -> None:
    record = kept.measurement(PROMPTS)
    view = Measurements(kept.lab).view(record)
    assert view and view["explore"], "the fake's late guesses are good"
    opened(page, address, f"?record={record}")
    page.get_by_role("link", name="Search in this window").click()
    expect(page.locator(".lab-said")).to_contain_text("press Run", timeout=30_000)
    page.wait_for_url(lambda url: "from_window" not in url)
    page.locator("#advanced button").first.click()
    for name in ("window_min", "window_max"):
        expect(page.locator(f"#field-{name} input")).to_have_value(f"{view['explore'][name]:g}")
    expect(page.locator("#field-prompt textarea")).to_have_value(PROMPTS[0])


def test_hostile_prompts_are_only_text(page_with_errors: Page, address: str, kept: Kept) -> None:
    page = page_with_errors
    record = kept.measurement((HOSTILE, *PROMPTS[:2]), rows=1, end=False)
    opened(page, address, f"?record={record}")
    expect(page.locator(".rel-stage h2.name")).to_contain_text("<img src=x")
    expect(page.get_by_label("Prompt and seed").locator("option")).to_contain_text(["<img src=x"])
    dots(page).first.click(force=True)
    expect(page.locator(".beside bdi")).to_have_text(re.sub(r"\s+", " ", HOSTILE))
    page.get_by_role("button", name="Use these settings").click()
    assert field(page, "prompts").input_value().splitlines()[0] == HOSTILE
    assert "taken" not in page.title()
    assert page.locator(".rel-stage img, .rel-stage script").count() == 0


def test_problems_stand_beside_their_fields_and_nothing_is_lost(page_with_errors: Page, address: str) -> None:
    page = page_with_errors
    opened(page, address, "?record=nothere12345")
    expect(page.locator(".notice.bad")).to_contain_text("nothere12345")
    field(page, "set").select_option("")
    field(page, "steps").fill("3-x")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(wrong(page, "prompts")).to_contain_text("expected a prompt a line")
    expect(wrong(page, "steps")).to_contain_text("got \u201c3-x\u201d")
    told = page.locator(".rel-form .foot .problem")
    expect(told).to_have_text("2 fields need attention.")
    expect(field(page, "prompts")).to_be_focused()
    field(page, "prompts").fill("a photo of a red circle")
    field(page, "steps").fill("3-40")
    field(page, "num_siblings").fill("1")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(wrong(page, "num_siblings")).to_contain_text("expected a whole number from 2")
    expect(wrong(page, "steps")).to_contain_text("timesteps from 1 to 10, got 11")
    expect(wrong(page, "prompts")).to_be_empty()
    expect(field(page, "prompts")).to_have_value("a photo of a red circle")
    field(page, "num_siblings").fill("5")
    expect(told).to_have_text("1 field needs attention.")
    field(page, "steps").fill("")
    expect(told).to_be_empty()


def test_a_bad_field_is_scrolled_to_and_told_at_run(page_with_errors: Page, address: str) -> None:
    page = page_with_errors
    page.set_viewport_size({"width": 1440, "height": 900})
    opened(page, address)
    go = page.get_by_role("button", name="Run", exact=True)
    expect(go).to_be_in_viewport(ratio=1)
    problem = page.locator(".rel-form .foot .problem")
    for name, value in (
        ("steps", "99-1"),
        ("num_siblings", "1e9"),
        ("num_elites", "0"),
        ("num_steps", "1"),
        ("noise_level", "-3"),
        ("guidance_scale", "1e6"),
        ("seeds", "99999999999"),
        ("count", "0"),
    ):
        before = field(page, name).input_value()
        field(page, name).evaluate("field => { const more = field.closest('details'); if (more) more.open = true; }")
        field(page, name).fill(value)
        go.click()
        expect(wrong(page, name)).to_contain_text("expected")
        expect(problem).to_have_text("1 field needs attention.")
        expect(field(page, name)).to_be_focused()
        expect(field(page, name)).to_be_in_viewport()
        expect(wrong(page, name)).to_be_in_viewport()
        field(page, name).fill(before)
        expect(problem).to_be_empty()


def test_a_file_of_prompts_is_read_and_checked(page_with_errors: Page, address: str) -> None:
    page = page_with_errors
    opened(page, address)
    field(page, "set").select_option("")
    chosen = page.locator("input[type=file]")

    def file(text: str) -> FilePayload:
        return {"name": "prompts.jsonl", "mimeType": "application/jsonl", "buffer": text.encode()}

    chosen.set_input_files(file('{"prompt": "a photo of a dog"}\n{"prompt": "a photo of <b>two</b> cats"}\n'))
    expect(field(page, "prompts")).to_have_value("a photo of a dog\na photo of <b>two</b> cats")
    chosen.set_input_files(file('{"prompt": "a photo of a dog"}\n{"caption": "a cat"}\n'))
    expect(wrong(page, "prompts")).to_contain_text("line 2: expected an object such as")
    expect(field(page, "prompts")).to_have_value("a photo of a dog\na photo of <b>two</b> cats")


def test_it_is_paused_and_stopped_from_the_page(page: Page, address: str, kept: Kept) -> None:
    record = kept.measurement(PROMPTS, rows=2, end=False)
    opened(page, address, f"?record={record}")
    expect(page.locator(".curves[data-drawn]")).to_be_visible()  # a busy machine needs seconds to load the charts
    asked = []
    page.on("request", lambda one: asked.append(json.loads(one.post_data or "{}")) if "command" in one.url else None)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_disabled()
    kept.pause(record)
    expect(page.get_by_role("button", name="Continue", exact=True)).to_be_visible()
    expect(page.locator(".rel-stage .status")).to_contain_text("Paused with 2 of 5 rows done")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".rel-stage[data-state='cancelled']")).to_be_visible()
    assert [one["kind"] for one in asked] == ["pause", "cancel"]


def test_library_and_queue_lead_here(page: Page, address: str, kept: Kept) -> None:
    record = kept.measurement(PROMPTS, rows=1, end=False)
    page.goto(f"{address}library")
    expect(page.locator(".record .title")).to_have_attribute("href", re.compile(rf"reliability\?record={record}"))
    page.get_by_role("button", name=re.compile("^Queue")).click()
    page.locator(".lab-drawer .job .title").click()
    expect(page.locator(".guesses .guess").first).to_be_visible()
    assert place_in_address(page)["record"] == record


def test_a_narrow_dark_page_keeps_its_width(page: Page, address: str, kept: Kept) -> None:
    record = kept.measurement(PROMPTS)
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, address, f"?record={record}&__theme=dark")
    expect(page.locator(".guesses .guess").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator(".rel-stage").bounding_box()["y"] < page.locator(".rel-form").bounding_box()["y"]  # type: ignore[index]


def test_explore_greys_rewards_where_they_were_measured_to_say_nothing(page: Page, site: str) -> None:
    told = {"known": True, "record": "abc", "steps": {"4": "none", "5": "signal"}}
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(urlsplit(route.request.url).query)
        route.fulfill(json=told)

    page.route("**/lab/api/signal?*", answer)
    explore = Explore(page, site, "?at=4.0.0")
    line = page.locator(".board .signal")
    page.evaluate("window.dispatchEvent(new CustomEvent('lab:move', {detail: {step: 4}}))")
    expect(line).to_contain_text("no better than chance")
    expect(line.locator("a")).to_have_attribute("href", re.compile(r"reliability\?record=abc"))
    expect(page.locator(".board .rows.no-signal")).to_be_visible()
    grey = explore.rows.first.locator(".candidate .reward").first.evaluate("node => getComputedStyle(node).color")
    page.get_by_role("button", name="Step after").click()
    expect(line).to_contain_text("tells better candidates from worse")
    expect(page.locator(".board .rows.no-signal")).to_have_count(0)
    plain = explore.rows.first.locator(".candidate .reward").first.evaluate("node => getComputedStyle(node).color")
    assert grey != plain
    assert [parse_qs(one) for one in asked] == [
        {"model": ["shapes-sd3"], "reward": ["shapes-clip"], "num_steps": ["10"], "step_kind": ["sde"]}
    ]


def test_explore_says_what_was_not_measured(page: Page, site: str) -> None:
    Explore(page, site)
    line = page.locator(".board .signal")
    expect(line).to_contain_text("is not measured")
    expect(line.get_by_role("link", name="Measure it")).to_have_attribute("href", re.compile(r"/reliability$"))
    expect(page.locator(".board .rows.no-signal")).to_have_count(0)
