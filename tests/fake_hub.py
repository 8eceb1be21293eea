"""A hub of its own at a free port: repositories of files, gated or slow, as the hub's client asks for them."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CHUNK = 1 << 14


@dataclass
class FakeHub:
    """`repositories` maps names to files; `gated` ones want a `token`; `delay` seconds pass with every 16 kB."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    token: str = "hf_right"
    delay: float = 0.0
    broken: bool = False
    commit: str = "a" * 40
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def add(self, repository: str, folder: Path, **more: bytes) -> None:
        """A repository with a folder's files, and more beside them."""
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.repositories[repository] = files | more


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Serve one while the block runs."""
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].strip("/")
            hub.asked.append(f"{self.command} {path}")
            if hub.broken:
                return self.answer(503, b"")
            if path.startswith("api/models/"):
                repository, kind, _ = _split(path.removeprefix("api/models/"), ("/revision/", "/tree/"))
                return self.listing(repository, kind)
            repository, _, rest = _split(path, ("/resolve/",))
            self.file(repository, rest.partition("/")[2])

        def listing(self, repository: str, kind: str) -> None:
            if repository not in hub.repositories:
                return self.answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})
            files = hub.repositories[repository]
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": _oid(data)} for name, data in files.items()
            ]
            told = {"id": repository, "sha": hub.commit} if kind == "/revision/" else tree
            self.answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

        def file(self, repository: str, name: str) -> None:
            if repository in hub.gated and self.headers.get("Authorization") != f"Bearer {hub.token}":
                return self.answer(403, b"", {"X-Error-Code": "GatedRepo"})
            data = hub.repositories.get(repository, {}).get(name)
            if data is None:
                return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            self.answer(200, data, {"ETag": f'"{_oid(data)}"', "X-Repo-Commit": hub.commit})

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            for start in range(0, len(body) if self.command == "GET" else 0, CHUNK):
                self.wfile.write(body[start : start + CHUNK])
                time.sleep(hub.delay)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _split(path: str, marks: tuple[str, ...]) -> tuple[str, str, str]:
    mark = next((one for one in marks if one in path), marks[0])
    before, _, after = path.partition(mark)
    return before, mark, after


def _oid(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
