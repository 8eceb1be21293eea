"""The rows of a bundle: what may stand in each column, and whether the rows of one record agree with each other."""

from collections import Counter
from collections.abc import Container, Mapping
from typing import Any

import sqlalchemy as sa

from app import sweep_config
from app.handing.form import TABLES, BundleError, columns_of
from app.handing.shapes import COLUMNS, OBJECT, Shape, flag, is_text, maybe, number, plain, text, whole
from core import config as session_config
from core import measure_config, train_config
from core.errors import ConfigError
from core.events import INITIAL
from storage import reliability
from storage.columns import ARTIFACT
from storage.jobs import FINAL
from storage.tables import records

Rows = dict[str, list[dict[str, Any]]]
STOPPED = "handed on while it was paused"


def checked_row(table: sa.Table, found: Any, files: Container[str]) -> dict[str, Any]:
    """One row's values by column; a column that an older version did not have is left to its default.

    `files` are the names of the stored files that the bundle brings. BundleError for anything that does not fit.
    """
    columns = {column.name: column for column in columns_of(table)}
    if not isinstance(found, dict) or not found.keys() <= columns.keys():
        foreign = sorted(found.keys() - columns.keys())[:3] if isinstance(found, dict) else found
        raise BundleError(f"{table.name}: expected an object of its columns, got {foreign!r:.80}")
    for name, column in columns.items():
        if name in found:
            _shape(column, files).check(found[name], f"{table.name}.{name}")
        elif not (column.nullable or column.default is not None or column.server_default is not None):
            raise BundleError(f"{table.name}: {name} is missing")
    return dict(found)


def _shape(column: sa.Column, files: Container[str]) -> Shape:
    kind: Any = column.type
    if kind is ARTIFACT:
        shape = Shape("a file that it brings", lambda value: value in files)
    elif isinstance(kind, sa.JSON):
        shape = COLUMNS.get((column.table.name, column.name), plain if column.nullable else OBJECT)
    elif isinstance(kind, sa.Boolean):
        shape = flag
    elif isinstance(kind, sa.Integer):
        shape = whole
    elif isinstance(kind, sa.Double):
        shape = number
    elif isinstance(kind, sa.Text):
        shape = text
    else:
        most = int(kind.length)
        shape = Shape(f"text of at most {most} letters", lambda value: is_text(value) and len(value) <= most)
    return maybe(shape) if column.nullable else shape


def checked_record(found: Any, record_id: str, files: Container[str]) -> dict[str, Any]:
    """A record's own row, its config read by the code that would run it. BundleError."""
    row = checked_row(records, found, files)
    if row["id"] != record_id or row["kind"] not in TABLES:
        raise BundleError(f"the record {record_id} says that it is {row['kind']!r:.40} {row['id']!r:.40}")
    if row["state"] == "paused":
        row |= {"state": "cancelled", "error": STOPPED}
    if row["state"] not in FINAL:
        raise BundleError(f"{record_id}: a record that is handed on has ended, this one is {row['state']!r:.40}")
    try:
        return row | read_config(row["kind"], row["config"])
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the settings of {record_id} cannot be read: {error}") from error


def read_config(kind: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """A config as this version writes it, and its digest. ConfigError for one that cannot be read."""
    if kind == "session":
        session = session_config.from_dict(found)
        return {"config": session_config.to_dict(session), "config_hash": session_config.config_hash(session)}
    if kind == "reliability":
        told = measure_config.to_dict(measure_config.from_dict(found))
        return {"config": told, "config_hash": reliability.config_hash(told)}
    if kind == "train":
        run = train_config.from_dict(found)
        return {"config": train_config.to_dict(run), "config_hash": train_config.config_hash(run)}
    sweep = sweep_config.from_plain(found)
    return {"config": sweep_config.to_plain(sweep), "config_hash": sweep_config.hash_of(sweep)}


def check_agreement(record: Mapping[str, Any], rows: Rows, ids: Container[str]) -> None:
    """Whether the rows of one record fit together: what pages take for granted. BundleError."""
    record_id, kind = record["id"], record["kind"]
    main = TABLES[kind][0].name
    if kind != "sweep" and len(rows.get(main, ())) != 1:
        raise BundleError(f"{record_id}: expected one row of {main}, got {len(rows.get(main, ()))}")
    if kind == "session":
        _check_session(record_id, record["config"], rows)
    if kind == "reliability":
        _check_measurement(record_id, record["config"], rows)
    for one in rows.get("watched", ()):
        if one["session_id"] not in ids:
            raise BundleError(f"{record_id} tells of the session {one['session_id']!r:.40}, which is not in it")


def _check_session(record_id: str, config: Mapping[str, Any], rows: Rows) -> None:
    session, num_steps = rows["sessions"][0], config["num_steps"]
    begun = any(rows.get(name) for name in ("steps", "iterations", "arms", "finishes"))
    sizes = {"sigmas": num_steps + 1, "searched": num_steps, "step_std": num_steps, "excess_std": num_steps}
    for name, size in sizes.items():
        value = session.get(name)
        if (value is None and begun) or (value is not None and len(value) != size):
            raise BundleError(f"{record_id}: expected {size} {name} for {num_steps} steps")
    for name in ("steps", "iterations", "finishes"):
        for row in rows.get(name, ()):
            if not INITIAL <= row["step"] < num_steps:
                raise BundleError(f"{record_id}: {name} of step {row['step']}, and it has {num_steps} steps")
    many = Counter((row["step"], row["iteration"]) for row in rows.get("candidates", ()))
    for row in rows.get("iterations", ()):
        count, place = many[row["step"], row["iteration"]], f"iteration {row['iteration']} of step {row['step']}"
        if not 0 < count == row.get("num_candidates") or not set(row["elites"]) <= set(range(count)):
            raise BundleError(f"{record_id}: {place} does not agree with its {count} candidates")
    if any(row["candidate"] not in range(many[row["step"], row["iteration"]]) for row in rows.get("candidates", ())):
        raise BundleError(f"{record_id}: candidates are expected to be numbered from 0")


def _check_measurement(record_id: str, config: Mapping[str, Any], rows: Rows) -> None:
    for row in rows.get("siblings", ()):
        if not _fits(row["data"], config):
            raise BundleError(f"{record_id}: row {row['row']}, step {row['step']} does not fit what was to be measured")


def _fits(data: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether one step of one row tells of every estimate, reward and sibling of its measurement."""
    estimates, scored = set(config["estimates"]), {*config["base"]["rewards"], "total"}
    tables = [data["truth"], *data["proxy"].values()]
    distances = [*data["latent_distance"].values(), *data["pixel_distance"].values()]
    lists = [*distances, *(values for table in tables for values in table.values())]
    return (
        all(one.keys() == scored for one in (*tables, data["walked"], data["ended"]))
        and all(len(values) == config["num_siblings"] for values in lists)
        and all(data[part].keys() == estimates for part in ("proxy", "cost", "latent_distance", "pixel_distance"))
        and data["returned"].keys() <= estimates
    )
