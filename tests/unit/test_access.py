"""Where the lab listens, who may come in, and what guessing gets one."""

import base64
from pathlib import Path

import pytest

from app.access import read_access
from app.password import FREE_TRIES, LONGEST_WAIT, MAX_CLIENTS, Doorkeeper, read_password
from app.security import host_allowed, is_loopback, shut
from core.errors import ConfigError

PASSWORD = "correct horse"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def basic(password: str, user: str = "anyone") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def answer(keeper: Doorkeeper, header: str | None, client: str = "10.0.0.1") -> int:
    refused = keeper.refuse(header, client)
    return 200 if refused is None else refused.status_code


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "lab.example", "127.0.0.1.nip.io"])
def test_no_door_to_others_without_a_password(host: str) -> None:
    with pytest.raises(ConfigError, match="LAB_PASSWORD"):
        read_access(host, None, {})
    access = read_access(host, None, {"LAB_PASSWORD": PASSWORD})
    assert (access.password, access.answers_to, access.beyond) == (PASSWORD, host, True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2"])
def test_this_machine_alone_needs_none(host: str) -> None:
    access = read_access(host, None, {})
    assert (access.password, access.beyond) == (None, False)
    assert read_access(host, None, {"LAB_PASSWORD": PASSWORD}).password == PASSWORD


def test_a_name_of_its_own_is_a_door_to_others() -> None:
    with pytest.raises(ConfigError, match="lab.example"):
        read_access("127.0.0.1", None, {"LAB_NAMES": "lab.example"})
    access = read_access("127.0.0.1", None, {"LAB_NAMES": "Lab.example, other", "LAB_PASSWORD": PASSWORD})
    assert access.names == ("lab.example", "other") and access.beyond
    assert host_allowed("LAB.example:443", access.answers_to, access.names)
    assert not host_allowed("evil.example", access.answers_to, access.names)


def test_behind_loopback_only_this_machines_names_are_answered() -> None:
    access = read_access("0.0.0.0", None, {"LAB_BEHIND_LOOPBACK": "1"})
    assert (access.host, access.password, access.beyond) == ("0.0.0.0", None, False)
    assert host_allowed("127.0.0.1:7860", access.answers_to)
    assert not host_allowed("192.168.1.5:7860", access.answers_to)
    for other in ("0", ""):
        with pytest.raises(ConfigError):
            read_access("0.0.0.0", None, {"LAB_BEHIND_LOOPBACK": other})
    with pytest.raises(ConfigError, match="expected 1 or nothing"):
        read_access("127.0.0.1", None, {"LAB_BEHIND_LOOPBACK": "yes"})


def test_a_password_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b" p\xc3\xa4ssword \r\n")
    assert read_password(file, {"LAB_PASSWORD": PASSWORD}) == " p\u00e4ssword "
    assert read_password(None, {"LAB_PASSWORD": PASSWORD}) == PASSWORD
    assert read_password(None, {}) is None
    assert read_password(None, {"LAB_PASSWORD_FILE": str(file)}) == " p\u00e4ssword "
    for content in (b"", b"short\n", b"\xff\xfe12345678"):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match="password"):
            read_password(file, {})
    with pytest.raises(ConfigError, match="cannot read"):
        read_password(tmp_path / "none", {})
    with pytest.raises(ConfigError, match="at least 8"):
        read_password(None, {"LAB_PASSWORD": ""})


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Bearer " + PASSWORD,
        basic(""),
        basic(PASSWORD + " "),
        basic(PASSWORD[:-1]),
        basic("\0" + PASSWORD),
    ],
)
def test_only_the_password_opens(header: str | None) -> None:
    assert answer(Doorkeeper(PASSWORD), header) == 401


def test_any_user_name_will_do_and_colons_belong_to_the_password() -> None:
    assert answer(Doorkeeper(PASSWORD), basic(PASSWORD, user="")) == 200
    assert answer(Doorkeeper("a:b:c:d:e"), basic("a:b:c:d:e")) == 200
    assert answer(Doorkeeper("p\u00e4ssw\u00f6rd"), basic("p\u00e4ssw\u00f6rd").replace("Basic", "bAsIc")) == 200


def test_who_guesses_waits_longer_and_longer_and_learns_nothing() -> None:
    clock = Clock()
    keeper = Doorkeeper(PASSWORD, now=clock)
    for _ in range(FREE_TRIES):
        assert answer(keeper, basic("wrong one")) == 401
    assert answer(keeper, basic("wrong one")) == 429
    assert answer(keeper, basic(PASSWORD)) == 429, "in the meantime nothing is compared"
    assert answer(keeper, None) == 401, "a browser that has not been asked yet is asked"
    assert answer(keeper, basic(PASSWORD), client="10.0.0.2") == 200, "others do not wait with it"
    waits = []
    for _ in range(12):
        refused = keeper.refuse(basic("wrong one"), "10.0.0.1")
        assert refused is not None and refused.status_code == 429
        waits.append(int(refused.headers["retry-after"]) - 1)
        clock.now += waits[-1] + 1
        assert answer(keeper, basic("wrong one")) == 401
    assert waits == sorted(waits) and waits[:4] == [1, 2, 4, 8] and waits[-1] == LONGEST_WAIT
    clock.now += LONGEST_WAIT + 1
    assert answer(keeper, basic(PASSWORD)) == 200
    assert answer(keeper, basic("wrong one")) == 401, "its slate is clean"
    assert answer(keeper, basic(PASSWORD)) == 200


def test_addresses_of_one_network_guess_together_and_are_not_remembered_without_end() -> None:
    keeper = Doorkeeper(PASSWORD, now=Clock())
    for last in range(FREE_TRIES):
        answer(keeper, basic("wrong one"), client=f"2001:db8::{last:x}")
    assert answer(keeper, basic("wrong one"), client="2001:db8::ffff") == 429
    assert answer(keeper, basic("wrong one"), client="2001:db8:0:1::1") == 401
    for number in range(MAX_CLIENTS + 10):
        answer(keeper, basic("wrong one"), client=f"name-{number}")
    assert len(keeper._wrong) == MAX_CLIENTS


@pytest.mark.parametrize(
    ("path", "closed"),
    [
        ("/", False),
        ("/config", False),
        ("/library", False),
        ("/assets/index.js", False),
        ("/lab/api/records", False),
        ("/artifacts/x.png", False),
        ("/gradio_api/queue/join", False),
        ("/gradio_api/run/predict", False),
        ("/gradio_api/upload", True),
        ("/gradio_api/upload_progress", True),
        ("/gradio_api/file=/etc/passwd", True),
        ("/gradio_api/file/etc/passwd", True),
        ("/gradio_api/proxy=http://localhost", True),
        ("/gradio_api/component_server", True),
        ("/gradio_api/stream/x", True),
        ("/gradio_api/vibe-edit", True),
        ("/gradio_api/deep_link", True),
        ("/gradio_api/process_recording", True),
        ("/gradio_api/queue/status", True),
        ("/monitoring/summary", True),
        ("/dev/reload", True),
        ("/file=/etc/passwd", True),
        ("/proxy=x", True),
        ("/login", True),
    ],
)
def test_what_the_lab_does_not_use_is_shut(path: str, closed: bool) -> None:
    assert shut(path) == closed


def test_what_counts_as_this_machine() -> None:
    assert [is_loopback(host) for host in ("LOCALHOST", "::1", "127.9.9.9", "0.0.0.0", "::", "localhost.x", "")] == [
        True, True, True, False, False, False, False,
    ]  # fmt: skip
