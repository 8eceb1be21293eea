"""`serve`: the web server and, supervised beside it, the worker."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType

from app.access import Access
from app.demo import demo_lab
from app.locks import only_server
from app.services import Lab
from app.settings import Settings
from app.supervisor import Supervisor, worker_command
from core.errors import LabError
from storage import jobs

BEYOND = (
    "Others can reach this address; they are asked for the password. Over plain HTTP it travels readable: where you do "
    "not trust the network, put the lab behind a proxy that speaks HTTPS, or use an SSH tunnel."
)


def serve(settings: Settings, access: Access, port: int) -> int:
    """Serve the data folder until SIGTERM or Ctrl-C. Raises LabError where the folder or the port is taken."""
    _begin()
    with only_server(settings.data_dir), _listen(access.host, port) as listener, closing(Lab(settings)) as lab:

        def free(owner: str) -> None:
            with lab.database.write() as tx:
                jobs.expire(tx, owner)

        supervisor = Supervisor(worker_command(lab.settings), free)
        supervisor.start()  # its model loads while the pages are imported
        try:
            _answer(lab, access, listener)
        finally:
            supervisor.stop()
    return 0


def serve_demo(access: Access, port: int, more: Sequence[Path] = ()) -> int:
    """Serve recordings and exported records (`more`) without a worker and a data folder, until SIGTERM or Ctrl-C.

    Raises LabError.
    """
    _begin()
    with _listen(access.host, port) as listener, demo_lab(more=more) as lab:
        _answer(lab, access, listener)
    return 0


def _begin() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s serve %(levelname)s %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, _leave)
    os.environ.pop("LAB_PASSWORD", None)  # the worker, and whatever plug-in runs in it, has no use for it


def _answer(lab: Lab, access: Access, listener: socket.socket) -> None:
    """Answer visitors until the process is to end; a second signal does not interrupt what follows."""
    try:
        import uvicorn

        from app.server import create_app

        site = create_app(lab, host=access.answers_to, names=access.names, password=access.password)
        config = uvicorn.Config(site, log_level="warning", timeout_graceful_shutdown=2, server_header=False)
        listener.listen(128)  # from here on a visitor waits instead of being turned away
        shown = f"[{access.host}]" if ":" in access.host else access.host
        print(f"Noise Search Lab: http://{shown}:{listener.getsockname()[1]}/", flush=True)
        if access.beyond:
            print(BEYOND, file=sys.stderr, flush=True)
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the worker is draining already


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket: taken before the worker is started, so that a taken port is told in one sentence."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise LabError(f"cannot listen at {host}:{port}: {reason}; choose another with --port") from error
    return listener


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
