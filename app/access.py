"""Where the lab listens and who may come in: read once from flags and the environment, refused where it is not safe."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.password import read_password
from app.security import is_loopback
from core.errors import ConfigError


@dataclass(frozen=True)
class Access:
    """`host` is listened at; a request must name `answers_to`, one of `names` or this machine, and bring `password`."""

    host: str = "127.0.0.1"
    answers_to: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    password: str | None = None

    @property
    def beyond(self) -> bool:
        """Whether others than this machine's own users may come in."""
        return bool(self.names) or not is_loopback(self.answers_to)


def read_access(host: str, password_file: Path | None, environ: Mapping[str, str]) -> Access:
    """Access from --host, --password-file, LAB_PASSWORD, LAB_NAMES and LAB_BEHIND_LOOPBACK.

    Raises ConfigError where others could reach the lab without a password.
    """
    password = read_password(password_file, environ)
    names = tuple(name.strip().lower() for name in environ.get("LAB_NAMES", "").split(",") if name.strip())
    behind = environ.get("LAB_BEHIND_LOOPBACK", "")
    if behind not in ("", "0", "1"):
        raise ConfigError({"LAB_BEHIND_LOOPBACK": f"expected 1 or nothing, got {behind!r:.40}"})
    # A container has to listen at all its addresses. Where it is published to the host's 127.0.0.1 alone, only names of
    # that machine are answered: one that was published further by mistake turns its visitors away.
    answers_to = "127.0.0.1" if behind == "1" else host
    access = Access(host, answers_to, names, password)
    if access.beyond and password is None:
        reached = f"the names {', '.join(names)}" if names and is_loopback(answers_to) else f"{host or 'all addresses'}"
        raise ConfigError(
            {
                "host": f"others could reach the lab at {reached}: expected a password in LAB_PASSWORD or in a file "
                "(--password-file, LAB_PASSWORD_FILE), or --host 127.0.0.1 for this machine alone (in a container that "
                "is published to 127.0.0.1 alone: LAB_BEHIND_LOOPBACK=1)"
            }
        )
    return access
