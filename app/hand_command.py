"""`bundle` and `import`: records handed on as a zip, and taken in, on the command line."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from app.handing import Taken, read_bundle, write_bundle
from app.services import Lab
from app.show import NEWEST, plain
from core.errors import LabError
from storage import records
from storage.values import this


def find_record(lab: Lab, text: str) -> str:
    """The id of a record of any kind by that id, its beginning, or the word `newest`. Raises LabError."""
    asked = text.strip().lower()
    with lab.database.read() as tx:
        if asked == NEWEST:
            found = [row["id"] for row in records.list_records(tx, limit=1)]
        else:
            found = records.ids_that_begin(tx, asked, kind=None)
    if len(found) != 1:
        told = "there is no record" if not found else f"{len(found)} records begin with"
        raise LabError(f"{told} {text!r:.60}; the library lists them, and `{NEWEST}` is the newest")
    return found[0]


def bundle(lab: Lab, asked: Sequence[str], target: Path | None) -> int:
    """Write records into one zip and print its name. Raises LabError."""
    ids = [find_record(lab, text) for text in asked]
    target = target or Path(f"lab-{ids[0]}{f'-and-{len(ids) - 1}-more' if ids[1:] else ''}.zip")
    wanted = write_bundle(lab.database, lab.artifacts, lab.checkpoints, ids, target)
    print(f"{target}: {len(wanted)} record{'s' if wanted[1:] else ''}, {target.stat().st_size / 1e6:.1f} MB")
    return 0


def take(lab: Lab, path: Path) -> int:
    """Take a zip in and print what came of it. Raises LabError, and has then taken nothing."""
    if not path.is_file():
        raise LabError(f"there is no file {path}")
    with tqdm(unit="B", unit_scale=True, leave=False, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        told = read_bundle(lab.database, lab.artifacts, lab.checkpoints, path, progress=show)
    print("\n".join(described(told)))
    return 0


def described(told: Taken) -> list[str]:
    """What an import came to, a line a record."""
    lines = [f"taken    {_line(one)}" for one in told.taken]
    lines += [
        f"here     {_line(one)}: it was here already{', in the trash' if one['deleted'] else ''}" for one in told.known
    ]
    return [*lines, *(f"note     {plain(note)}" for note in told.notes)]


def _line(one: dict) -> str:
    return f"{one['id']}  {this(one['kind']).removeprefix('this ')}  {plain(one['name'] or one['prompt'])[:80]}"
