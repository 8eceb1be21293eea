"""Notes are written in Markdown by whoever uses the lab, and shown to everybody: hostile until proven otherwise.

Two walls: the renderer knows no HTML, so tags in a note are text; and what it made passes through a sanitiser that
knows a few tags and no attribute but a link's address. The page builds its own elements from that: the third.
"""

from functools import lru_cache

import nh3
from markdown_it import MarkdownIt

from storage.values import clean

TAGS = {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "s", "strong", "ul"}
TAGS |= {"h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"}
SCHEMES = {"http", "https", "mailto"}

# No pictures: one from elsewhere would tell its server who reads the note. A line's end is a line's end.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
_MARKDOWN.disable("image")


@lru_cache(maxsize=512)
def rendered(note: str) -> str:
    """A note as HTML that may stand in any page; "" for an empty one."""
    if not note:
        return ""
    made: str = _MARKDOWN.render(clean(note))
    return nh3.clean(made, tags=TAGS, attributes={"a": {"href"}}, url_schemes=SCHEMES, link_rel=None).strip()
