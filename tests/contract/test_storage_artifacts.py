"""Files by content: names, atomic writing, damage, purging."""

import hashlib
import os
import threading
import time

import numpy as np
import pytest

from core.errors import StorageError
from storage.artifacts import Artifacts

GOOD = "ab" * 32


def test_a_file_is_named_by_its_content_and_written_once(artifacts):
    name = artifacts.put(b"picture", "webp")
    assert name == hashlib.sha256(b"picture").hexdigest() + ".webp"
    inode = artifacts.path(name).stat().st_ino
    assert artifacts.put(b"picture", "webp") == name and artifacts.path(name).stat().st_ino == inode
    assert artifacts.get(name) == b"picture"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../secret",
        f"../{GOOD}.png",
        f"{GOOD}.png/../../secret",
        f"/{GOOD}.png",
        f"{GOOD}",
        f"{GOOD}.",
        f"{GOOD}.png\n",
        f"{GOOD}.png\0",
        f"{GOOD}.p/g",
        f"{GOOD}.tar.gz",
        f"{GOOD.upper()}.png",
        f"{GOOD[:-1]}.png",
        f"{GOOD}.{'x' * 13}",
        ".lock",
        None,
        7,
    ],
)
def test_only_names_of_ours_lead_to_a_path(artifacts, name):
    with pytest.raises(StorageError, match="not the name of a stored file"):
        artifacts.path(name)
    with pytest.raises(StorageError):
        artifacts.get(name)


@pytest.mark.parametrize("suffix", ["", ".png", "../x", "PNG", "p g", "x" * 13])
def test_suffixes_are_small_letters_and_digits(artifacts, suffix):
    with pytest.raises(StorageError, match="suffix"):
        artifacts.put(b"", suffix)


def test_a_missing_or_damaged_file_is_an_error_that_says_so(artifacts):
    with pytest.raises(StorageError, match="missing"):
        artifacts.get(f"{GOOD}.png")
    name = artifacts.put_tensor(np.zeros(3))
    artifacts.path(name).write_bytes(b"half")
    with pytest.raises(StorageError, match="damaged"):
        artifacts.get_tensor(name)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_dies_leaves_no_file_of_that_name(artifacts, monkeypatch, step):
    def die(*_args):
        raise OSError(28, "No space left on device")

    name = hashlib.sha256(b"content").hexdigest() + ".png"
    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(os, step, die)
        artifacts.put(b"content", "png")
    assert not artifacts.path(name).exists() and not list(artifacts.folder.glob("*/*"))
    assert artifacts.put(b"content", "png") == name


def test_readers_never_see_half_a_file(artifacts):
    content = os.urandom(2_000_000)
    name = hashlib.sha256(content).hexdigest() + ".bin"
    sizes, done = set(), threading.Event()

    def look():
        while not done.is_set():
            if artifacts.path(name).exists():
                sizes.add(len(artifacts.path(name).read_bytes()))

    watcher = threading.Thread(target=look)
    watcher.start()
    writers = [threading.Thread(target=artifacts.put, args=(content, "bin")) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    watcher.join()
    assert sizes <= {len(content)} and artifacts.get(name) == content


@pytest.mark.parametrize("shape", [(1, 4, 2, 2), (3,), (0, 2)])
def test_tensors_come_back_as_float32_bit_for_bit(artifacts, shape):
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    if values.size:
        values.flat[0] = np.nan
    again = artifacts.get_tensor(artifacts.put_tensor(values))
    assert again.dtype == np.float32 and again.shape == shape and again.tobytes() == values.tobytes()
    sliced = np.arange(12, dtype=np.float64).reshape(3, 4)[:, ::2]
    assert np.array_equal(artifacts.get_tensor(artifacts.put_tensor(sliced)), sliced)


def test_purging_takes_old_orphans_only(artifacts):
    hour = 3600
    needed, orphan, young, again = (artifacts.put(text, "png") for text in (b"needed", b"orphan", b"young", b"again"))
    leftover = artifacts.path(orphan).parent / ".tmp-1-dead"
    leftover.write_bytes(b"half")
    stranger = artifacts.path(orphan).parent / "notes.txt"
    stranger.write_bytes(b"somebody's")
    old = time.time() - 2 * hour
    for path in (*(artifacts.path(name) for name in (needed, orphan, again)), leftover, stranger):
        os.utime(path, (old, old))
    artifacts.put(b"again", "png")  # about to be referenced by a row that is not there yet
    assert sorted(artifacts.purge({needed}, older_than=hour)) == sorted([orphan, leftover.name])
    assert all(artifacts.path(name).exists() for name in (needed, young, again)) and stranger.exists()


def test_a_folder_is_made_where_there_is_none(tmp_path):
    assert Artifacts(tmp_path / "a" / "b").put(b"", "txt").endswith(".txt")
