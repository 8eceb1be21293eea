"""A measurement's numbers as files: a table for spreadsheets, arrays for `reliability --from-array`. No torch."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import sqlalchemy as sa

from app.measured import Measured
from core.measure_config import MeasureConfig

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def columns(config: MeasureConfig) -> list[str]:
    """The table's columns: a line is a sibling."""
    scored = [*config.base.rewards, "total"]
    head = ["row", "prompt", "seed", "step", "sigma", "sigma_next", "sibling"]
    head += [f"truth {reward}" for reward in scored]
    for name in config.estimates:
        head += [f"{name} {reward}" for reward in scored] + [f"{name} latent distance", f"{name} pixel distance"]
    return head


def table_lines(config: MeasureConfig, stored: Iterable[sa.Row]) -> Iterator[str]:
    """The lines of stored steps, without the head; steps and rows count from 0, as in the arrays."""
    scored = [*config.base.rewards, "total"]
    for one in stored:
        data = one.data
        for k in range(config.num_siblings):
            values = [data["truth"][reward][k] for reward in scored]
            for name in config.estimates:
                values += [data["proxy"][name][reward][k] for reward in scored]
                values += [data["latent_distance"][name][k], data["pixel_distance"][name][k]]
            place = [one.row, safe_text(one.prompt), one.seed, one.step, one.sigma, one.sigma_next, k]
            yield csv_line([*place, *values])


def csv_line(values: Iterable[Any]) -> str:
    """One line of a table; nothing where a value is None."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(["" if value is None else value for value in values])
    return out.getvalue()


def safe_text(text: str) -> str:
    """Text that a spreadsheet takes for text: it runs what looks like a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def npz(found: Measured) -> bytes:
    """proxy (P, K, S) and truth of the primary estimate and the optimised reward, sigmas, prompts: what
    `reliability --from-array` reads; beside them every estimate's and reward's as `proxy.NAME.REWARD`, `truth.REWARD`.
    """
    config, primary = found.config, found.config.primary
    arrays: dict[str, Any] = {
        "proxy": found.proxy[primary][config.optimised],
        "truth": found.truth[config.optimised],
        "sigmas": np.array(found.sigmas),
        "prompts": found.prompts,
        "steps": np.array(found.steps),
    }
    for reward, values in found.truth.items():
        arrays[_key("truth", reward)] = values
        arrays |= {_key("proxy", name, reward): each[reward] for name, each in found.proxy.items()}
    for name in config.estimates:
        arrays[_key("latent_distance", name)] = found.latent_distance[name]
        arrays[_key("pixel_distance", name)] = found.pixel_distance[name]
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def _key(*parts: str) -> str:
    """A name inside the file: letters, digits, dots and dashes."""
    return ".".join(re.sub(r"[^A-Za-z0-9_-]", "_", part) for part in parts)
