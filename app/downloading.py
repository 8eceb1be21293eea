"""Fetches what a model or a reward lacks, through the hub's own client, and says what stands against it in words.

Nothing in the lab fetches anything but this, and this only when somebody asks.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.downloads import DownloadError, Offer, Source, folder_of, is_here, licence_text
from core.models.files import hub_cache
from core.models.memory import gigabytes

Tell = Callable[[int, int], None]
EVERY_SECONDS = 0.5
ROOM = 1.02
TOKENS = "https://huggingface.co/settings/tokens"


def download(offer: Offer, *, accepted: bool, tell: Tell = lambda done, total: None) -> None:
    """Fetch what is missing of an offer; what was begun before goes on. `tell` hears bytes done and in all.

    Raises DownloadError, with what to do about it.
    """
    if offer.gated and not accepted:
        raise DownloadError("licence", licence_text(offer))
    try:
        wanted = [(source, _missing(source)) for source in offer.sources]
        _check_room(sum(size for _, size in wanted))
        with _watching([source.repository for source in offer.sources], sum(size for _, size in wanted), tell):
            for source in offer.sources:
                _snapshot(source)
    except Exception as error:
        if isinstance(error, DownloadError):
            raise
        raise explained(error, offer) from error
    fine, why = is_here(offer.name)
    if not fine:
        raise DownloadError("failed", f"{offer.title} was fetched and still cannot be used: {why}")


def _snapshot(source: Source, **more: Any) -> Any:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()  # they count files; whoever asked is told bytes
    return snapshot_download(
        source.repository,
        allow_patterns=list(source.wanted),
        ignore_patterns=list(source.unwanted),
        cache_dir=hub_cache(),
        endpoint=os.environ.get("HF_ENDPOINT"),
        **more,
    )


def _missing(source: Source) -> int:
    """Bytes that are still to come of a source."""
    planned = _snapshot(source, dry_run=True)
    begun = sum(file.stat().st_size for file in _blobs(source.repository) if file.name.endswith(".incomplete"))
    return max(0, sum(file.file_size or 0 for file in planned if file.will_download) - begun)


def _blobs(repository: str) -> Iterator[Path]:
    folder = folder_of(repository) / "blobs"
    return folder.iterdir() if folder.is_dir() else iter(())


def _check_room(size: int) -> None:
    folder = hub_cache()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if size * ROOM > free:
        raise DownloadError(
            "full",
            f"{gigabytes(size)} are to be fetched, and the disk of {folder} has {gigabytes(free)} free: make room, or "
            "name another folder with HF_HOME",
        )


@contextmanager
def _watching(repositories: list[str], total: int, tell: Tell) -> Iterator[None]:
    """Tell how much has come while the block runs: what lies on the disk now beyond what did before."""

    def there() -> int:
        size = 0
        for repository in repositories:
            for file in _blobs(repository):
                try:
                    size += file.stat().st_size
                except FileNotFoundError:
                    continue  # just renamed: it has come whole
        return size

    before, done = there(), threading.Event()

    def watch() -> None:
        while not done.wait(EVERY_SECONDS):
            tell(min(max(0, there() - before), total), total)

    tell(0, total)
    thread = threading.Thread(target=watch, name="download", daemon=True)
    thread.start()
    try:
        yield
        tell(total, total)
    finally:
        done.set()
        thread.join()


def explained(error: BaseException, offer: Offer) -> DownloadError:
    """What went wrong at the hub, and what to do about it."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    causes = list(_causes(error))
    place = " and ".join(source.repository for source in offer.sources)
    if any(isinstance(one, GatedRepoError) for one in causes):
        known = "Your token is known, but may not read it yet" if get_token() else "There is no token on this machine"
        return DownloadError(
            "gated",
            f"the repository {place} is gated. {known}. Sign in at {offer.page or 'the hub'} and accept the "
            f"licence there; make a token that may read gated repositories at {TOKENS}; keep it with `hf auth "
            "login`, or as HF_TOKEN where the lab is started; then try again",
        )
    if any(isinstance(one, RepositoryNotFoundError) for one in causes):
        return DownloadError(
            "absent",
            f"the hub shows no repository {place}: it was moved or taken away, or it is private and needs a token",
        )
    if any(isinstance(one, OfflineModeIsEnabled) for one in causes):
        return DownloadError("offline", "HF_HUB_OFFLINE forbids it: unset it, start the lab again, then try again")
    answers = [one for one in causes if isinstance(one, HfHubHTTPError)]
    if answers:
        return DownloadError("failed", f"the hub answered with {answers[0].response.status_code}: try again later")
    if any(_is_offline(one) for one in causes):
        return DownloadError(
            "offline",
            "the hub cannot be reached from this machine. Where it can: "
            + "; ".join(f"`hf download {source.repository} --local-dir FOLDER`" for source in offer.sources)
            + ", then bring the folder here and name it when the lab is started",
        )
    told = str(error).partition("\n")[0][:200]
    return DownloadError("failed", f"the download ended with {type(error).__name__}: {told}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_offline(error: BaseException) -> bool:
    """Whether there was no way to the hub; its client's own library has names of its own for that."""
    return isinstance(error, ConnectionError | TimeoutError) or any(
        kind.__name__ in ("ConnectError", "TimeoutException", "ProxyError") for kind in type(error).__mro__
    )
