"""A worker process over the fake engine: `python -m tests.fake_worker --data-dir D [--supervised --owner NAME]`."""

import argparse
import sys

from app.settings import read_settings
from app.worker import work
from tests.fakes import paced_toolbox

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    parser.add_argument("--supervised", action="store_true")
    parser.add_argument("--owner")
    asked = parser.parse_args()
    sys.exit(work(read_settings(asked.data_dir), paced_toolbox, owner=asked.owner, supervised=asked.supervised))
