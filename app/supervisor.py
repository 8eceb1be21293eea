"""Keeps one worker process alive as long as it is wanted: starts it, starts it again when it dies, ends it with its
parent."""

import logging
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from app.settings import Settings

log = logging.getLogger(__name__)

FIRST_DELAY = 0.2
LONGEST_DELAY = 10.0
LONG_LIFE = 30.0
IDLE_SECONDS = 0.5


def worker_command(settings: Settings) -> list[str]:
    """How a worker over the same data folder is started; addresses and devices reach it through the environment."""
    return [sys.executable, "-m", "app", "worker", "--data-dir", str(settings.data_dir)]


class Supervisor:
    """`command` is started with `--supervised --owner NAME`; `on_death(NAME)` frees what that worker held.

    With `wanted` it is started only while that is true, and may end by itself. The child watches the pipe at its
    standard input, so that it ends even when this process is killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        on_death: Callable[[str], None],
        *,
        first_delay: float = FIRST_DELAY,
        wanted: Callable[[], bool] = lambda: True,
    ):
        """Starts nothing yet. Delays between restarts double from `first_delay` seconds while lives are short."""
        self.command = list(command)
        self.on_death = on_death
        self.first_delay = first_delay
        self.wanted = wanted
        self.starts = 0
        self.child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start the worker and the thread that watches it."""
        self._thread.start()

    def stop(self, timeout: float = 25.0) -> None:
        """Ask the worker to drain and end, then wait for it; after `timeout` seconds it is killed."""
        self._stopping.set()
        child = self.child
        if child is not None:
            if child.stdin is not None:
                child.stdin.close()
            try:
                child.wait(timeout)
            except subprocess.TimeoutExpired:
                child.kill()
        self._thread.join(timeout=10.0)

    def _keep_alive(self) -> None:
        delay = self.first_delay
        while not self._stopping.is_set():
            if not self._is_wanted():
                self._stopping.wait(IDLE_SECONDS)
                continue
            self.starts += 1
            owner = f"worker-{secrets.token_hex(8)}"
            began = time.monotonic()
            # Its own group: a Ctrl-C in the terminal is for the parent, which then ends the child in order.
            self.child = subprocess.Popen(
                [*self.command, "--supervised", "--owner", owner], stdin=subprocess.PIPE, start_new_session=True
            )
            if self._stopping.is_set() and self.child.stdin is not None:
                self.child.stdin.close()
            code = self.child.wait()
            try:
                self.on_death(owner)
            except Exception:
                log.exception("could not free the jobs of %s; their leases will run out", owner)
            if self._stopping.is_set():
                return
            if code == 0:
                delay = self.first_delay
                self._stopping.wait(delay)
                continue
            delay = self.first_delay if time.monotonic() - began > LONG_LIFE else min(LONGEST_DELAY, delay * 2)
            log.warning("the worker ended with code %s; starting another in %.1f s", code, delay)
            self._stopping.wait(delay)

    def _is_wanted(self) -> bool:
        try:
            return self.wanted()
        except Exception:
            log.exception("cannot tell whether a worker is wanted")
            return False
