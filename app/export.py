"""`export`: a stored session as files that need no lab: settings, tables and pictures, with a manifest of them all.

What is written appears under its name only when it is whole.
"""

import csv
import hashlib
import io
import json
import os
import platform
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.services import Lab
from app.status import lab_version
from core.errors import LabError
from storage.engine import head_revision

FORMAT = 1
MANIFEST = "manifest.json"
_COST = ("nfe", "decodes", "reward_calls", "seconds")
_SUMMARY = ("num_candidates", "finite", "best", "mean", "threshold")
_NOISE = ("mean_norm", "cosine", "over_noise", "batch_size")
_QUANTILES = ("std_min", "std_25", "std_median", "std_75", "std_max")
# Every file of an archive carries this time, so that two exports of one session are the same to the last byte.
_EPOCH = (1980, 1, 1, 0, 0, 0)

Add = Callable[[str, bytes], None]


def export(lab: Lab, view: Mapping[str, Any], target: Path) -> Path:
    """Write a session to `target`: an archive if that ends in .zip, else a folder. Returns it.

    Raises LabError where the target is there already or a stored file is missing; nothing is left then.
    """
    if target.exists() or target.is_symlink():
        raise LabError(f"{target} is there already: expected a name that is free")
    if not target.parent.is_dir():
        raise LabError(f"there is no folder {target.parent}")
    writing = _archive if target.suffix.lower() == ".zip" else _folder
    listed: dict[str, dict[str, Any]] = {}
    with writing(target) as put:

        def add(name: str, content: bytes) -> None:
            put(name, content)
            listed[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

        for name, content in contents(lab, view):
            add(name, content)
        manifest = {"format": FORMAT, "session": view["id"], **_versions(), "files": dict(sorted(listed.items()))}
        put(MANIFEST, _json(manifest))
    return target


def contents(lab: Lab, view: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Every file of an export but the manifest: its name and content. Reads a step at a time."""
    pictures: dict[str, str] = {}
    yield "session.json", _json(_session(view))
    yield "steps.csv", _step_table(view, pictures)
    yield "iterations.csv", _iteration_table(view)
    yield "candidates.csv", _candidate_table(lab, view, pictures)
    yield "arms.csv", _arm_table(view, pictures)
    if view["finishes"]:
        yield "finishes.csv", _finish_table(view, pictures)
    for name, artifact in pictures.items():
        yield name, lab.artifacts.get(artifact)


def _session(view: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "name", "note", "star", "prompt", "state", "error", "created", "config", "cost")
    return {name: view[name] for name in (*names, "sigmas", "searched", "step_std", "excess_std")}


def _step_table(view: Mapping[str, Any], pictures: dict[str, str]) -> bytes:
    rewards = _reward_names(view, (row["rewards"] for row in view["steps"]))
    rows = []
    for row in view["steps"]:
        name = f"pictures/steps/{_step(row['step'])}{Path(row['image']).suffix}"
        pictures[name] = row["image"]
        rows.append(
            [row["step"], *_values(row["rewards"], rewards), row["noise_norm"], row["log_prob"]]
            + [*(row[one] for one in _COST), name]
        )
    return _csv(["step", *_columns(rewards), "noise_norm", "log_prob", *_COST, "picture"], rows)


def _iteration_table(view: Mapping[str, Any]) -> bytes:
    rows = [
        [row["step"], row["iteration"], *(row[name] for name in _SUMMARY)]
        + [*row["std_quantiles"], *(row[name] for name in (*_NOISE, *_COST))]
        + [" ".join(map(str, row["elites"]))]
        for row in view["iterations"]
    ]
    return _csv(["step", "iteration", *_SUMMARY, *_QUANTILES, *_NOISE, *_COST, "elites"], rows)


def _candidate_table(lab: Lab, view: Mapping[str, Any], pictures: dict[str, str]) -> bytes:
    rewards = list(view["config"]["rewards"])
    rows = []
    for step in sorted({row["step"] for row in view["iterations"]}):
        for row in lab.step_detail(view["id"], step)["iterations"]:
            for index, image in enumerate(row["images"]):
                folder = f"pictures/candidates/{_step(step)}/iteration-{row['iteration']:02d}"
                name = f"{folder}/candidate-{index:03d}{Path(image).suffix}"
                pictures[name] = image
                scores = [row["rewards"].get(one, [None] * len(row["images"]))[index] for one in rewards]
                elite = int(index in row["elites"])
                noise = [row["norms"][index], row["kurtosis"][index]]
                rows.append([step, row["iteration"], index, row["total"][index], *scores, elite, *noise, name])
    head = ["step", "iteration", "candidate", "total", *_columns(rewards), "elite", "noise_norm", "kurtosis", "picture"]
    return _csv(head, rows)


def _arm_table(view: Mapping[str, Any], pictures: dict[str, str]) -> bytes:
    rewards = _reward_names(view, (row["rewards"] for row in view["arms"]))
    rows = []
    for row in view["arms"]:
        name = f"pictures/arms/{row['arm']}{Path(row['image']).suffix}"
        pictures[name] = row["image"]
        costs = [row[one] for one in _COST]
        rows.append([row["arm"], *_values(row["rewards"], rewards), row["trajectories"], *costs, name])
    return _csv(["arm", *_columns(rewards), "trajectories", *_COST, "picture"], rows)


def _finish_table(view: Mapping[str, Any], pictures: dict[str, str]) -> bytes:
    rewards = _reward_names(view, (row["rewards"] for row in view["finishes"]))
    rows = []
    for row in view["finishes"]:
        place = f"{_step(row['step'])}-iteration-{row['iteration']:02d}-candidate-{row['candidate']:03d}"
        name = f"pictures/finishes/{place}{Path(row['image']).suffix}"
        pictures[name] = row["image"]
        key = [row["step"], row["iteration"], row["candidate"]]
        rows.append([*key, row["total"], *_values(row["rewards"], rewards), row["nfe"], row["seconds"], name])
    head = ["step", "iteration", "candidate", "total", *_columns(rewards), "nfe", "seconds", "picture"]
    return _csv(head, rows)


def _step(step: int) -> str:
    """A step in a file's name, counted from 0 as in the tables."""
    return "initial" if step < 0 else f"step-{step:02d}"


def _reward_names(view: Mapping[str, Any], found: Iterable[Mapping[str, Any]]) -> list[str]:
    known = dict.fromkeys(view["config"]["rewards"])
    for values in found:
        known |= dict.fromkeys(values)
    return list(known)


def _columns(rewards: Sequence[str]) -> list[str]:
    return [f"reward {name}" for name in rewards]


def _values(found: Mapping[str, Any], rewards: Sequence[str]) -> list[Any]:
    return [found.get(name) for name in rewards]


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """RFC 4180 in UTF-8; numbers with every digit, and an empty cell where there is no finite one."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(head)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return out.getvalue().encode()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _versions() -> dict[str, str]:
    return {"lab": lab_version(), "schema": head_revision(), "python": platform.python_version()}


@contextmanager
def _archive(target: Path) -> Iterator[Add]:
    temporary = _temporary(target)
    try:
        with open(temporary, "xb") as handle:
            with zipfile.ZipFile(handle, "w") as archive:

                def put(name: str, content: bytes) -> None:
                    info = zipfile.ZipInfo(name, _EPOCH)
                    info.external_attr = 0o644 << 16
                    packed = name.endswith((".csv", ".json"))  # pictures are packed already
                    archive.writestr(info, content, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)

                yield put
            handle.flush()
            os.fsync(handle.fileno())
        os.rename(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _folder(target: Path) -> Iterator[Add]:
    temporary = _temporary(target)
    temporary.mkdir()

    def put(name: str, content: bytes) -> None:
        path = temporary / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    try:
        yield put
        os.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.part")
