"""How long it takes until a value that is none is told, from the function to the answer over HTTP."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from app.server import create_app
from app.services import Lab
from app.settings import Settings
from app.ui import form
from core.config import from_dict
from core.errors import ConfigError

VALUES: dict[str, Any] = {
    "1e9": 1e9,
    "text": "5",
    "nan": float("nan"),
    "true": True,
    "1 MB": "x" * 1_000_000,
    "NUL": "a\0b",
    "surrogate": "\ud800",
    "list": [1, [2]],
    "object": {"a": {"b": 1}},
}
TRIES = 3


def validation() -> dict[str, Any]:
    """Milliseconds of this process's processors for the slowest field of each value (the best of three tries).

    `function_ms` is the form's own check; the others are whole requests, client included: to the page's event and to
    the estimate. Values that a field takes are left out, for they would start a session.
    """
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Settings(Path(folder), recorded=None))
        try:
            with TestClient(create_app(lab), base_url="http://127.0.0.1") as client:
                return {
                    "function_ms": _slowest(_check),
                    "page_ms": _slowest(
                        lambda filled: _send(client, "/gradio_api/run/run", {"data": [*filled.values()]})
                    ),
                    "api_ms": _slowest(lambda filled: _send(client, "/lab/api/form/estimate", filled)),
                }
        finally:
            lab.close()


def _slowest(ask: Any) -> dict[str, float]:
    return {label: max(_best(ask, name, value) for name in form.NAMES) for label, value in VALUES.items()}


def _best(ask: Any, name: str, value: Any) -> float:
    filled = {field: value if field == name else form.defaults()[field] for field in form.NAMES}
    return 0.0 if _check(filled) else min(_spent(ask, filled) for _ in range(TRIES))


def _spent(ask: Any, filled: dict[str, Any]) -> float:
    began = time.process_time()
    ask(filled)
    return 1000 * (time.process_time() - began)


def _check(filled: dict[str, Any]) -> bool:
    """Whether a session could be started from this."""
    try:
        from_dict(form.to_config(filled))
    except ConfigError as error:
        form.explain(error.problems)
        return False
    return True


def _send(client: TestClient, path: str, body: Any) -> None:
    client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
