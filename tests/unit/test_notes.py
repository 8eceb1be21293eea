"""Notes: Markdown becomes what it should, and nothing that a browser would run or fetch, whatever is written."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.notes import TAGS, rendered

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![beacon](https://elsewhere.example/x.png)",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](&#106;avascript:alert(1))",
    "[click](java\tscript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](vbscript:x)",
    "[click](file:///etc/passwd)",
    "<javascript:alert(1)>",
    '[a](https://x.example "title" onclick=alert(1))',
    '[a](https://x.example/"onmouseover="alert(1))',
    "<a href='javascript:alert(1)'>x</a>",
    "`<b onclick=x>`",
    "```html\n<iframe src=x></iframe>\n```",
    "<style>*{display:none}</style>\n<svg/onload=alert(1)>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "| <td onload=x> | b |\n|---|---|\n| [x](javascript:1) | \u202e |",
    "[ref]\n\n[ref]: javascript:alert(1)",
    "\0<scr\0ipt>\ud83d",
]
ALLOWED = re.compile(rf"</?(?:{'|'.join(TAGS)})>|<a href=\"(?:https?|mailto):[^\"<>]*\">")


def harmless(html: str) -> bool:
    """Nothing is left that could be a tag once those that are allowed are taken away."""
    return "<" not in ALLOWED.sub("", html)


def test_markdown_is_what_it_says():
    assert rendered("**two** reds, *one* `K = 5`") == (
        "<p><strong>two</strong> reds, <em>one</em> <code>K = 5</code></p>"
    )
    assert rendered("one\ntwo") == "<p>one<br>\ntwo</p>"
    assert rendered("- [paper](https://arxiv.org/abs/2505.05470)") == (
        '<ul>\n<li><a href="https://arxiv.org/abs/2505.05470">paper</a></li>\n</ul>'
    )
    assert "<td>0.5</td>" in rendered("| a | b |\n|---|---|\n| 0.5 | 1 |")
    assert rendered("~~old~~") == "<p><s>old</s></p>"
    assert rendered("") == rendered("   ") == ""


def test_a_text_that_looks_like_html_stays_readable():
    assert rendered("a < b & <b>c</b>") == "<p>a &lt; b &amp; &lt;b&gt;c&lt;/b&gt;</p>"


@pytest.mark.parametrize("note", HOSTILE)
def test_hostile_notes_do_nothing(note):
    assert harmless(rendered(note)), rendered(note)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("<>&\"'()[]!`*_#|-=:/\\ \n\tjavascript:hp onerror&;#x\0"), max_size=200))
def test_no_text_gets_through_the_walls(note):
    assert harmless(rendered(note))


@pytest.mark.parametrize("piece", ["[", "*", "`", "> ", "- ", "<", "[a](", "![", "|-", "&", "\\", "**a "])
def test_a_long_note_of_one_thing_is_rendered_soon(piece):
    began = time.process_time()
    rendered((piece * 10_000)[:10_000])
    assert time.process_time() - began < 1.0
