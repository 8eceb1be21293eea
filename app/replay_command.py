"""`replay`: a stored record computed once more in this process, and what came of it."""

import json
import sys
from typing import Any, TextIO

from tqdm import tqdm

from app.hand_command import find_record
from app.replay_words import sentences
from app.replaying import Replay
from app.services import Lab
from app.toolbox import Resident, Toolbox, torch_toolbox
from core.replay import CLOSE, IDENTICAL


def replay_here(
    lab: Lab, text: str, *, as_json: bool, toolbox: Toolbox | None = None, out: TextIO | None = None, **how: Any
) -> int:
    """Compute a record once more and print what it came to; `how` as `app.replaying.Replay` takes it.

    Returns 0 where it is the same, but for rounding at most, and 1 where it parts. Raises LabError.
    """
    record_id = find_record(lab, text)
    tools = lab.with_trained(toolbox or torch_toolbox(lab.settings.device))
    replay = Replay(lab.database, lab.artifacts, Resident(tools), record_id, **how)
    with tqdm(disable=as_json, unit=" events", leave=False, file=sys.stderr) as bar:
        for comparison in replay.steps():
            bar.update(comparison.pieces - bar.n)
    result = {"record": record_id, **replay.result()}
    told = sentences(result)
    print(
        json.dumps(result | {"sentences": told}, allow_nan=False) if as_json else "\n".join(told),
        file=out or sys.stdout,
    )
    return 0 if result["verdict"] in (IDENTICAL, CLOSE) else 1
