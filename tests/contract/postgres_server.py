"""A PostgreSQL server for the tests alone: its own folder, reachable only through a socket in it, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALLED = "/usr/lib/postgresql"
ADVICE = (
    "the storage tests also run on PostgreSQL and its programs are missing: install them, "
    "on Debian or Ubuntu with `apt-get install postgresql`, on macOS with `brew install postgresql`"
)


def binaries(installed: str = INSTALLED, path: str | None = None) -> Path:
    """The folder of initdb and pg_ctl: the newest version installed, or the one on PATH. LookupError with advice."""
    versions = sorted(Path(installed).glob("*/bin/initdb"), key=lambda file: float(file.parent.parent.name))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb", path=path)
    if found is None:
        raise LookupError(ADVICE)
    return Path(found).resolve().parent


def _account() -> dict[str, object]:
    """PostgreSQL refuses to run as root: then the account that its package made is used."""
    if os.geteuid() != 0:
        return {}
    try:
        account = pwd.getpwnam("postgres")
    except KeyError:
        raise LookupError(f"{ADVICE} (running as root needs the user `postgres` that the package makes)") from None
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@contextmanager
def running() -> Iterator[str]:
    """Start a server, yield the folder of its socket (user `lab`, database `postgres`), stop it and remove it."""
    programs, account = binaries(), _account()
    # Not pytest's folder: that one is closed to other users, and too long for a socket's path.
    folder = Path(tempfile.mkdtemp(prefix="labpg-"))
    if account:
        os.chown(folder, int(str(account["user"])), int(str(account["group"])))
    data = folder / "data"

    def call(*command: str) -> None:
        log = folder / "log"
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            **account,  # type: ignore[call-overload]
        )
        if done.returncode:
            kept = log.read_text() if log.exists() else ""
            raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}{kept}")

    try:
        encoding = ("--encoding=UTF8", "--locale=C.UTF-8")
        call(str(programs / "initdb"), f"--pgdata={data}", "--username=lab", "--auth=trust", "--no-sync", *encoding)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c shared_buffers=16MB -c max_connections=60"
        control = (str(programs / "pg_ctl"), f"--pgdata={data}", "-w")
        call(*control, "-t", "60", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield str(folder)
        finally:
            call(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
