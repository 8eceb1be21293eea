"""Page Status: what this lab runs on, what it can use and why not more. Drawn by status.js from /lab/api/status."""

from app.ui.document import document


def page() -> str:
    """The page's document."""
    return document("status", "Status")
