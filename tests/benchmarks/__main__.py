"""`python -m tests.benchmarks bench.json [NAME ...]`: how fast the lab is here, a key a benchmark; all without names.

Benchmarks that were not named keep what the file already says of them.
"""

import argparse
import importlib
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import rounded

# Imported when they run: some need torch, some a browser.
BENCHMARKS = {
    "recording": "storing",
    "write_rows": "storing",
    "open_large": "storing",
    "search_overhead": "searching",
    "batching": "searching",
    "session": "searching",
    "move_to_paint": "browsing",
    "web_memory": "browsing",
    "library": "library",
    "validation": "validating",
    "training": "training",
    "sd35": "sd35",
}


def run(name: str) -> dict[str, Any]:
    """One benchmark's figures, with what else the machine was doing."""
    load = os.getloadavg()[0]
    began = time.perf_counter()
    found = getattr(importlib.import_module(f"tests.benchmarks.{BENCHMARKS[name]}"), name)()
    return rounded(found | {"took_seconds": time.perf_counter() - began, "load_before": load})


def main(path: Path, names: list[str]) -> None:
    """Run the named benchmarks, or all, and write one JSON object."""
    known = json.loads(path.read_text()) if names and path.is_file() else {}
    found = {"machine": {"platform": platform.platform(), "cores": os.cpu_count()}}
    for name in BENCHMARKS:
        if not names or name in names:
            found[name] = run(name)
            print(name, json.dumps(found[name]), flush=True)
        elif name in known:
            found[name] = known[name]
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, default=Path("bench.json"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(BENCHMARKS):
        parser.error(f"expected some of {', '.join(BENCHMARKS)}, got {', '.join(sorted(unknown))}")
    main(asked.path, asked.names)
