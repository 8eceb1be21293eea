"""Bundles made to do harm: ten classes, fifty of each, drawn from a seed. None is taken or leaves anything."""

import io
import json
import random
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.handing import read_bundle, write_bundle
from app.handing.form import BundleError, Limits
from app.services import Lab
from tests.integration.handed import files, filled, open_lab, rows

MANY = 50
LIMITS = Limits(total=2**20, file=2**20, manifest=2**20)
OUTSIDE = ("../{}", "artifacts/../../{}", "..\\{}", "artifacts/..%2f{}", "records/../../../{}", "./../{}")
ABSOLUTE = ("/tmp/{}", "//tmp/{}", "C:\\{}", "/etc/{}", "\\\\host\\{}", "file:///tmp/{}")

Entries = list[tuple[zipfile.ZipInfo, bytes]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("here")
    ids = filled(folder / "data")
    with closing(open_lab(folder / "data")) as lab:
        target = folder / "whole.zip"
        write_bundle(lab.database, lab.artifacts, lab.checkpoints, [ids["session"]], target)
    return target.read_bytes()


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with closing(open_lab(tmp_path_factory.mktemp("there") / "data")) as lab:
        yield lab


def entries_of(content: bytes) -> Entries:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(plain(info.filename), archive.read(info)) for info in archive.infolist()]


def plain(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name)


def packed(entries: Entries, packing: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        for info, content in entries:
            archive.writestr(info, content, packing)
    return out.getvalue()


def listing(entries: Entries, change: Callable[[dict], None]) -> Entries:
    """The same with another manifest."""
    told = []
    for info, content in entries:
        if info.filename == "manifest.json":
            manifest = json.loads(content)
            change(manifest)
            content = json.dumps(manifest).encode()
        told.append((info, content))
    return told


def truncated(whole: bytes, draw: random.Random) -> bytes:
    return whole[: draw.randrange(len(whole))]


def bit_flipped(whole: bytes, draw: random.Random) -> bytes:
    """Bits of the files themselves: elsewhere a zip says some things twice, and needs them once."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        info = draw.choice([one for one in archive.infolist() if one.compress_size > 8])
    name, extra = struct.unpack_from("<HH", whole, info.header_offset + 26)
    changed = bytearray(whole)
    for _ in range(draw.randint(1, 4)):
        at = info.header_offset + 30 + name + extra + draw.randrange(info.compress_size)
        changed[at] ^= 1 << draw.randrange(8)
    return bytes(changed) if bytes(changed) != whole else truncated(whole, draw)


def lying_sizes(whole: bytes, draw: random.Random) -> bytes:
    """In the manifest, or in the zip's own list of what it holds."""
    if draw.random() < 0.5:

        def lie(manifest: dict) -> None:
            about = manifest["files"][draw.choice(sorted(manifest["files"]))]
            about["bytes"] = draw.choice([0, -1, 2**31 - 1, 2**40, about["bytes"] + 1, about["bytes"] / 3, "9", None])

        return packed(listing(entries_of(whole), lie))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        info = draw.choice([one for one in archive.infolist() if one.file_size > 1])
    changed, stored = bytearray(whole), info.compress_type == zipfile.ZIP_STORED
    at = whole.rindex(info.filename.encode(), whole.index(b"PK\1\2")) - 46  # its line in the directory
    field = draw.choice([20, 24]) if stored else 24  # packed and unpacked; a packed end is found without the first
    struct.pack_into("<L", changed, at + field, draw.choice([0, 1, 2**20, 2**31, 2**32 - 2]))
    return bytes(changed)


def bomb(whole: bytes, draw: random.Random) -> bytes:
    """Much that is packed small, in one file or in many, listed honestly or not at all."""
    size = 2**20 + draw.randrange(2**20)
    content, name = b"\0" * size, f"artifacts/{draw.randbytes(32).hex()}.png"
    entries = entries_of(whole)
    if draw.random() < 0.5:
        entries = listing(entries, lambda told: told["files"].update({name: {"bytes": size, "sha256": "0" * 64}}))
    elif draw.random() < 0.5:
        entries = listing(entries, lambda told: told["files"].update({name: {"bytes": 9, "sha256": "0" * 64}}))
    return packed([*entries, (plain(name), content)], zipfile.ZIP_DEFLATED)


def named(whole: bytes, draw: random.Random, names: tuple[str, ...]) -> bytes:
    """A file under such a name: one more, or one of the bundle's own, with a manifest that lists it or does not."""
    name = draw.choice(names).format(f"escaped-{draw.randrange(9)}.png")
    entries = entries_of(whole)
    info, content = draw.choice([one for one in entries if one[0].filename.startswith("artifacts/")])

    def rename(told: dict) -> None:
        about = told["files"][info.filename]
        if draw.random() < 0.5:
            del told["files"][info.filename]
        told["files"][name] = about

    if draw.random() < 0.8:
        entries = listing(entries, rename)
    kept = [one for one in entries if one[0] is not info or draw.random() < 0.5]
    return packed([*kept, (plain(name), content)])


def traversal(whole: bytes, draw: random.Random) -> bytes:
    return named(whole, draw, OUTSIDE)


def absolute(whole: bytes, draw: random.Random) -> bytes:
    return named(whole, draw, ABSOLUTE)


def symlink(whole: bytes, draw: random.Random) -> bytes:
    entries = entries_of(whole)
    place = draw.randrange(len(entries))
    info, content = entries[place]
    kind = draw.choice([stat.S_IFLNK, stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR])
    info.external_attr = (kind | 0o777) << 16
    entries[place] = (info, b"/etc/passwd" if draw.random() < 0.5 else content)
    return packed(entries)


def duplicate_names(whole: bytes, draw: random.Random) -> bytes:
    entries = entries_of(whole)
    info, content = draw.choice(entries)
    other = content if draw.random() < 0.5 else draw.randbytes(len(content))
    entries.insert(draw.randrange(len(entries) + 1), (plain(info.filename), other))
    return packed(entries)


def wrong_digests(whole: bytes, draw: random.Random) -> bytes:
    """Of a content that was changed, or of a manifest that was; names of files may lie as well."""
    entries = entries_of(whole)
    if draw.random() < 0.5:

        def lie(manifest: dict) -> None:
            about = manifest["files"][draw.choice(sorted(manifest["files"]))]
            about["sha256"] = draw.choice([draw.randbytes(32).hex(), "", about["sha256"].upper() + " ", None, 7])

        return packed(listing(entries, lie))
    place = draw.choice([i for i, one in enumerate(entries) if one[0].filename != "manifest.json" and one[1]])
    info, content = entries[place]
    at = draw.randrange(len(content))
    entries[place] = (info, content[:at] + bytes([content[at] ^ (1 << draw.randrange(8))]) + content[at + 1 :])
    return packed(entries)


def newer_format(whole: bytes, draw: random.Random) -> bytes:
    found = draw.choice([2, 3, 99, 2**31, 2**70, -1, 0, 1.5, "2", None, [], {}, True])
    return packed(listing(entries_of(whole), lambda told: told.update(format=found, lab="9.9")))


CLASSES = (
    *(truncated, bit_flipped, lying_sizes, bomb, traversal, absolute, symlink, duplicate_names, wrong_digests),
    newer_format,
)


def test_the_bundle_that_they_are_made_from_is_taken(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "whole.zip").write_bytes(packed(entries_of(whole)))
    with closing(open_lab(tmp_path / "data")) as lab:
        taken = read_bundle(lab.database, lab.artifacts, lab.checkpoints, tmp_path / "whole.zip", limits=LIMITS)
    assert len(taken.taken) == 1


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("harm", CLASSES, ids=lambda one: one.__name__)
def test_none_of_them_is_taken_or_leaves_anything(
    harm: Callable[[bytes, random.Random], bytes], whole: bytes, there: Lab
) -> None:
    around = there.settings.data_dir.parent
    before = files(around)
    path = around / "harm.zip"
    for seed in range(MANY):
        path.write_bytes(harm(whole, random.Random(f"{harm.__name__} {seed}")))
        with pytest.raises(BundleError, match="^nothing was taken from harm.zip: ."):
            read_bundle(there.database, there.artifacts, there.checkpoints, path, limits=LIMITS)
        path.unlink()
        assert files(around) == before, seed
    assert not any(rows(there).values())
    assert not list(Path("/tmp").glob("escaped-*")) and not list(Path("/etc").glob("escaped-*"))
