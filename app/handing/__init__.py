"""Handing records on: any of them in one zip, and such a zip taken in by another lab, which trusts nothing in it."""

from app.handing.take import Taken, read_bundle
from app.handing.write import write_bundle

__all__ = ["Taken", "read_bundle", "write_bundle"]
