"""The outcome of a session on page Explore: two arms over one another."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.explore_page import Explore
from tests.e2e.fake_lab import FakeLab


def cut(page: Page) -> str:
    return page.locator(".swipe img").nth(1).evaluate("node => node.style.clipPath")


def test_two_arms_are_swiped_with_the_keyboard(page: Page, site: str, lab: FakeLab) -> None:
    Explore(page, site)
    view = lab.session_view(lab.recorded or "")
    assert view
    arms = {arm["arm"]: arm for arm in view["arms"]}
    page.get_by_label("Second picture").select_option("ode")
    under, over = (page.locator(".swipe img").nth(i).get_attribute("src") or "" for i in (0, 1))
    assert arms["ode"]["image"] in under and arms["search"]["image"] in over
    assert cut(page) == "inset(0px 50% 0px 0px)"
    slider = page.get_by_label("How much of the first picture is shown")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert cut(page) == "inset(0px 40% 0px 0px)"
    gain = arms["ode"]["rewards"]["shapes-clip"] - arms["search"]["rewards"]["shapes-clip"]
    expect(page.locator(".compare .by").first).to_have_text(("+" if gain > 0 else "\u2212") + f"{abs(gain):.3f}")


def test_where_two_arms_differ_is_drawn(page: Page, site: str) -> None:
    Explore(page, site)
    page.get_by_role("button", name="Difference", exact=True).click()
    expect(page.locator(".compare")).to_contain_text("of 255 per colour")
    lit = "node => { const d = node.getContext('2d').getImageData(0, 0, node.width, node.height).data;"
    lit += " let sum = 0; for (let i = 0; i < d.length; i += 4) sum += d[i] + d[i + 1] + d[i + 2]; return sum; }"
    canvas = page.locator(".difference canvas")
    fourfold = canvas.evaluate(lit)
    page.get_by_label("brightened").select_option("1")
    page.wait_for_function(f"(before) => ({lit})(document.querySelector('.difference canvas')) < before", arg=fourfold)
    page.get_by_label("Second picture").select_option("search")
    expect(page.locator(".compare")).to_contain_text("the same, pixel by pixel")
    assert canvas.evaluate(lit) == 0


@pytest.mark.parametrize("arm", ["search", "ode"])
def test_an_arm_opens_large(page: Page, site: str, arm: str) -> None:
    Explore(page, site)
    page.locator(f".arm[data-arm='{arm}'] .frame").click()
    expect(page.locator("dialog.lightbox[open]")).to_contain_text("Velocity evaluations")
