"""A file dragged over a page and let go."""

import base64

from playwright.sync_api import Page


def dropped(page: Page, content: bytes, name: str = "picture.png", *, kind: str = "image/png", times: int = 1) -> None:
    """Drag a file over the page and let it go."""
    page.evaluate(
        """([packed, name, type, times]) => {
          const bytes = Uint8Array.from(atob(packed), letter => letter.charCodeAt(0));
          const carried = new DataTransfer();
          for (let i = 0; i < times; i += 1) carried.items.add(new File([bytes], name, {type}));
          for (const kind of ['dragenter', 'dragover', 'drop'])
            document.body.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: carried}));
        }""",
        [base64.b64encode(content).decode(), name, kind, times],
    )
