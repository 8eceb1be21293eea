"""A worker process over the fake engine: `python -m tests.fake_worker --data-dir D [--supervised ...] [--lane L]`."""

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
    parser.add_argument("--lane", default="interactive")
    asked = parser.parse_args()
    again = [sys.executable, "-m", "tests.fake_worker", "--data-dir", asked.data_dir]
    settings, how = read_settings(asked.data_dir), {"owner": asked.owner, "supervised": asked.supervised}
    sys.exit(work(settings, paced_toolbox, **how, lane=asked.lane, command=again))
