"""`download NAME`: fetches a model or a reward, with a bar or, for the page that asked, an object a line."""

import json
import os
import sys
import threading
from contextlib import closing
from typing import Any

from tqdm import tqdm

from app.downloading import Tell, download
from app.downloads import Offer, find_offer, is_here
from core.errors import LabError
from core.models.memory import gigabytes


def run_download(name: str, *, accepted: bool, as_json: bool, supervised: bool) -> int:
    """Fetch what a name needs; 0 when it can be used afterwards. Raises LabError.

    `supervised` ends the download with the process that started it.
    """
    if supervised:
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    try:
        offer = find_offer(name)
        fine, why = is_here(name)
        if offer is None and not fine:
            raise LabError(f"{name}: {why}")
        if offer is not None and not fine:
            _fetch(offer, accepted, as_json)
    except LabError as error:
        if as_json:
            _say({"event": "error", "state": getattr(error, "state", "failed"), "text": str(error)})
        raise
    told = f"{offer.title if offer else name} is here"
    _say({"event": "done", "text": told}) if as_json else print(told)
    return 0


def _fetch(offer: Offer, accepted: bool, as_json: bool) -> None:
    if as_json:
        download(offer, accepted=accepted, tell=_say_progress)
        return
    if accepted or not offer.gated:
        print(f"{offer.title}: about {gigabytes(offer.megabytes * 1e6)}, {offer.licence or 'licence not known'}")
    with closing(tqdm(total=None, unit="B", unit_scale=True, disable=None, file=sys.stderr)) as bar:
        download(offer, accepted=accepted, tell=_bar(bar))


def _bar(bar: Any) -> Tell:
    def tell(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return tell


def _say_progress(done: int, total: int) -> None:
    _say({"event": "progress", "done": done, "total": total})


def _say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


def _end_with_parent() -> None:
    """The pipe closes when the parent ends, however it ended; what was fetched so far is kept."""
    while os.read(sys.stdin.fileno(), 1024):  # unbuffered: a buffer's lock would be in the way of an orderly end
        pass
    os._exit(1)
