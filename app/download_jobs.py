"""Downloads that a page asked for: each a process of its own that says how far it is, ended with the lab."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from app.downloads import DownloadError, find_offer, licence_text
from core.errors import LabError

RUNNING, DONE, STOPPED = "running", "done", "stopped"


@dataclass(frozen=True)
class Download:
    """One download: `state` is running, done, stopped, or why it ended (see DownloadError); bytes so far and in all."""

    name: str
    state: str = RUNNING
    done: int = 0
    total: int = 0
    text: str = ""


def command(name: str) -> list[str]:
    """How a download is started; whoever asked has accepted the licence by then."""
    return [sys.executable, "-m", "app", "download", name, "--accept-licence", "--json", "--supervised"]


class Downloads:
    """The downloads since the lab began, the latest of each name. `command(name)` starts one."""

    def __init__(self, command: Callable[[str], Sequence[str]] = command):
        """Starts nothing."""
        self._command = command
        self._known: dict[str, Download] = {}
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._lock = threading.Lock()

    def start(self, name: str, *, accepted: bool) -> None:
        """Begin to fetch a model or a reward; one that runs goes on. Raises LabError, DownloadError (licence)."""
        offer = find_offer(name)
        if offer is None:
            raise LabError(f"{name[:60]}: nothing is fetched for it")
        if offer.gated and not accepted:
            raise DownloadError("licence", licence_text(offer).replace("with --accept-licence", "on this page"))
        with self._lock:
            if offer.name in self._processes:
                return
            process = subprocess.Popen(
                list(self._command(offer.name)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            self._processes[offer.name], self._known[offer.name] = process, Download(offer.name)
        threading.Thread(target=self._follow, args=(offer.name, process), name="download", daemon=True).start()

    def stop(self, name: str) -> None:
        """End a download; what came so far is kept, and the next one goes on from there."""
        with self._lock:
            process = self._processes.get(name)
            if process is not None:
                self._known[name] = replace(self._known[name], state=STOPPED, text="stopped; what has come is kept")
        if process is not None:
            process.terminate()

    def told(self) -> list[dict[str, object]]:
        """All of them, as JSON values."""
        with self._lock:
            return [asdict(one) for one in self._known.values()]

    def _follow(self, name: str, process: "subprocess.Popen[str]") -> None:
        for line in process.stdout or ():
            try:
                self._note(name, json.loads(line))
            except ValueError:
                continue  # a library's own words
        code = process.wait()
        with self._lock:
            if self._known[name].state == RUNNING:
                self._known[name] = replace(self._known[name], state="failed", text=f"it ended with code {code}")
            del self._processes[name]

    def _note(self, name: str, told: dict[str, object]) -> None:
        with self._lock:
            known = self._known[name]
            if known.state != RUNNING:
                return
            match told:
                case {"event": "progress", "done": int(done), "total": int(total)}:
                    self._known[name] = replace(known, done=done, total=total)
                case {"event": "done", "text": str(text)}:
                    self._known[name] = replace(known, state=DONE, done=known.total, text=text)
                case {"event": "error", "state": str(state), "text": str(text)}:
                    self._known[name] = replace(known, state=state, text=text)
