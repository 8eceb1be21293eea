"""Handing records on over HTTP: some as one zip, such a zip taken in, and a session checked by computing it again."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from app.bodies import TooLarge
from app.handing import read_bundle, write_bundle
from app.handing.form import Limits
from app.replay_words import told
from app.replaying import queue_replay
from core.errors import LabError
from storage.views import record_row

if TYPE_CHECKING:
    from app.services import Lab

MOST = Limits().total  # bytes of an upload
UPLOADED = "the file"


def handing_routes(lab: "Lab") -> APIRouter:
    """Under /lab/api: /export?ids=a,b,…, /import, whose body is the zip, and a session's /replay."""
    routes = APIRouter()

    @routes.get("/export")
    def export(ids: str = "") -> FileResponse:
        asked = [one for one in ids.split(",") if one]
        folder = Path(tempfile.mkdtemp(prefix="lab-export-"))
        try:
            write_bundle(lab.database, lab.artifacts, lab.checkpoints, asked, folder / "bundle.zip")
        except BaseException:
            _remove(folder)
            raise
        gone = BackgroundTask(_remove, folder)
        name = f"lab-{asked[0]}{f'-and-{len(asked) - 1}-more' if asked[1:] else ''}.zip"
        return FileResponse(folder / "bundle.zip", media_type="application/zip", filename=name, background=gone)

    @routes.post("/sessions/{record_id}/replay")
    def check(record_id: str) -> dict[str, Any]:
        with lab.database.write() as tx:
            return {"queued": queue_replay(tx, record_id)}

    @routes.get("/sessions/{record_id}/replay")
    def checked(record_id: str) -> dict[str, Any]:
        with lab.database.read() as tx:
            record_row(tx, record_id)
            return {"replay": told(tx, record_id)}

    @routes.post("/import")
    async def take(request: Request) -> dict[str, Any]:
        # On the lab's own disk: the system's temporary folder may be too small for what the lab could hold.
        with tempfile.NamedTemporaryFile(dir=lab.settings.data_dir, prefix=".upload-") as upload:
            await _receive(request, upload)
            taken = await run_in_threadpool(
                read_bundle, lab.database, lab.artifacts, lab.checkpoints, Path(upload.name), called=UPLOADED
            )
        return {"taken": list(taken.taken), "known": list(taken.known), "notes": list(taken.notes)}

    return routes


async def _receive(request: Request, upload: Any) -> None:
    """Write a request's body to a file as it comes. Raises TooLarge, and LabError where nothing came."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MOST:
            raise TooLarge(f"expected at most {MOST:,} bytes, got more")
        await run_in_threadpool(upload.write, chunk)
    if not size:
        raise LabError("expected a zip of records, got nothing")
    upload.flush()


def _remove(folder: Path) -> None:
    (folder / "bundle.zip").unlink(missing_ok=True)
    folder.rmdir()
