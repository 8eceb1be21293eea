"""Demo mode: recordings for talks and hosted pages. Nothing runs, nothing can be changed, nothing is left behind.

The recordings are put into a temporary folder, and then its database is sealed: from there on no use case can write,
whichever door it is reached through. The JSON interface refuses before that, and by default: whatever is not a GET has
to stand in `COMPUTES` to be answered, so a route that is added one day is refused until somebody has thought about it.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request

from app.settings import RECORDED, ROOT, Settings
from core.errors import ReadOnly

if TYPE_CHECKING:
    from app.services import Lab

SENTENCE = "this is a demonstration: recorded sessions, nothing runs and nothing can be changed"
# Routes under /lab/api that are not asked with GET only because what they work out takes many settings.
COMPUTES = frozenset(
    {
        "/estimate",
        "/form",
        "/form/estimate",
        "/prompts",
        "/reliability/estimate",
        "/reliability/{record_id}/simulate",
        "/settings-of-picture",
        "/sweep/estimate",
        "/train/estimate",
    }
)
LOOKS = ("GET", "HEAD")
BUNDLES = ROOT / "assets" / "demo"
_STYLE = b'<link rel="stylesheet" href="lab/css/demo.css"></head>'
_SCRIPT = b'<script type="module" src="lab/js/demo.js"></script></body>'


@contextmanager
def demo_lab(recorded: Path | None = RECORDED, more: Sequence[Path] = ()) -> Iterator["Lab"]:
    """A lab over nothing but recordings, sealed, in a folder that is gone afterwards. Raises StorageError.

    The pages open with the session in `recorded`; exported records of assets/demo, and `more`, are there too.
    """
    from app.handing import read_bundle
    from app.services import Lab

    with tempfile.TemporaryDirectory(prefix="lab-demo-") as folder:
        lab = Lab(Settings(Path(folder), recorded=recorded, demo=True))
        try:
            for bundle in (*sorted(BUNDLES.glob("*.zip")), *more):
                read_bundle(lab.database, lab.artifacts, lab.checkpoints, bundle)
            lab.seal(SENTENCE)
            yield lab
        finally:
            lab.close()


def only_looks(request: Request) -> None:
    """A dependency of every route of the JSON interface in a demo. Raises ReadOnly."""
    if request.method not in LOOKS and request.scope["route"].path not in COMPUTES:
        raise ReadOnly(SENTENCE)


def dress(page: bytes) -> bytes:
    """A page as a demo shows it: what cannot be done here is not offered, and a line says so."""
    marked = page.replace(b"<html", b'<html data-demo="yes"', 1)
    return marked.replace(b"</head>", _STYLE, 1).replace(b"</body>", _SCRIPT, 1)
