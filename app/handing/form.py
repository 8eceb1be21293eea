"""What a bundle is: a zip of records with all that belongs to them, each file with its digest in a manifest.

    manifest.json                     format, the lab that wrote it, the records, {file: bytes and sha256}
    records/ID/record.json            what lists say of a record, and its whole config, with prompt and seed
    records/ID/TABLE.jsonl            the rows of one table that hang from it, one a line
    artifacts/SHA256.SUFFIX           pictures and latents, named by their content as the lab names them
    checkpoints/ID/EPOCH/FILE         a fine-tune's LoRA and the state that it would go on from

Names are only ever looked up, never used as paths. What is told of one lab and not of the record stays behind: stars,
locks, counters and jobs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.errors import StorageError
from storage.run_tables import checkpoints, epochs, runs, samples, trials, watched
from storage.tables import (
    arm_rewards,
    arms,
    candidate_rewards,
    candidates,
    finish_rewards,
    finishes,
    iterations,
    origins,
    records,
    reliability,
    sessions,
    siblings,
    step_rewards,
    steps,
    tags,
)

FORMAT = 1
MANIFEST = "manifest.json"
# What brings a manifest of an older format and its records to the next one: {format: function of the manifest}.
UPGRADES: Mapping[int, Any] = {}

ALL = (tags, origins)
# The tables of each kind, those that others point to first.
TABLES: dict[str, tuple[sa.Table, ...]] = {
    "session": (
        *(sessions, steps, step_rewards, iterations, candidates, candidate_rewards),
        *(arms, arm_rewards, finishes, finish_rewards, *ALL),
    ),
    "reliability": (reliability, siblings, *ALL),
    "train": (runs, epochs, samples, checkpoints, watched, trials, *ALL),
    "sweep": ALL,
}
# Columns that speak of the lab the record lies in, or that follow from the others.
OWN_TO_A_LAB = {"record_id", "seq", "job_id"}
OWN_TO_A_LAB_OF_RECORD = {"star", "locked", "deleted_at", "erased", "seq", "rewards", "config_hash"}
CHECKPOINT_FILES = (
    "pytorch_lora_weights.safetensors",
    "ema/pytorch_lora_weights.safetensors",
    "trainer.safetensors",
    "trainer.json",
)

_ID = r"[a-z0-9]{1,24}"
_NAMES = (
    re.compile(rf"records/(?P<record>{_ID})/(?P<table>[a-z_]{{1,40}})\.jsonl?"),
    re.compile(r"artifacts/(?P<artifact>[0-9a-f]{64}\.(webp|png|safetensors))"),
    re.compile(rf"checkpoints/(?P<record>{_ID})/(?P<epoch>\d{{1,6}})/(?P<file>[a-z_./]{{1,60}})"),
)


@dataclass(frozen=True)
class Limits:
    """How much a bundle may be: files, bytes in all and in one of them, of its manifest and of one line of a table."""

    files: int = 300_000
    total: int = 16 * 2**30
    file: int = 4 * 2**30
    manifest: int = 64 * 2**20
    line: int = 32 * 2**20


@dataclass(frozen=True)
class Inside:
    """What the name of a file in a bundle says that it is; fields that do not apply are empty."""

    record: str = ""
    table: str = ""
    artifact: str = ""
    epoch: int = 0
    file: str = ""


class BundleError(StorageError):
    """A zip is no bundle, or not a whole and honest one; nothing of it was taken."""


def inside(name: str) -> Inside:
    """What a file's name says. BundleError for a name that no bundle has."""
    for pattern in _NAMES:
        found = pattern.fullmatch(name)
        if found:
            values = found.groupdict()
            if values.get("file") not in (None, *CHECKPOINT_FILES):
                break
            epoch = int(values.pop("epoch", 0))
            return Inside(**values, epoch=epoch)
    raise BundleError(f"it holds {name!r:.80}, which is no name of a bundle's file")


def columns_of(table: sa.Table) -> list[sa.Column]:
    """The columns of a table that are handed on."""
    left = OWN_TO_A_LAB_OF_RECORD if table is records else OWN_TO_A_LAB
    return [column for column in table.columns if column.name not in left]


def upgraded(manifest: dict[str, Any], upgrades: Mapping[int, Any] = UPGRADES, newest: int = FORMAT) -> dict[str, Any]:
    """A manifest as this version has it. BundleError where it is of a newer format, or of none."""
    found = manifest.get("format")
    if type(found) is not int or found < 1:
        raise BundleError(f"its format is expected to be a whole number from 1, got {found!r:.40}")
    if found > newest:
        raise BundleError(
            f"it is of format {found}, and this version of the lab reads up to {newest}: "
            f"it was written by a newer one ({manifest.get('lab')!r:.40})"
        )
    while found < newest:
        manifest = {**upgrades[found](manifest), "format": found + 1}
        found += 1
    return manifest
