"""A comparison's numbers as one long table: a line a number, so that any tool can turn it as it likes. No torch."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.reliability_export import csv_line, safe_text

COLUMNS = ("letter", "record", "kind", "name", "prompt", "seed", "part", "place", "measure", "value")
COSTS = ("nfe", "seconds")
CURVE = ("spearman_median", "spearman_low", "spearman_high", "expected_gain")


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a CSV file, head first; `found` is what `app.comparing.compared` gives.

    `part` is setting, step (`place` its noise level afterwards), arm (its name), epoch, timestep (its noise level) or
    difference (the letters, as "A less B"; those of measurements and fine-tunes say on what).
    """
    yield csv_line(COLUMNS)
    heads = {one["letter"]: one for one in found["records"]}
    for kind, section in found["sections"].items():
        for letter in section["letters"]:
            head = heads[letter]
            about = [
                letter,
                head["id"],
                kind,
                *(safe_text(head[name] or "") for name in ("name", "prompt")),
                head["seed"],
            ]
            for part, place, measure, value in _numbers(kind, section, letter):
                yield csv_line([*about, part, safe_text(str(place)), safe_text(measure), value])
        for one in section["verdicts"]:
            yield from _difference(kind, one)


def _numbers(kind: str, section: Mapping[str, Any], letter: str) -> Iterator[tuple[str, Any, str, Any]]:
    for row in section["settings"]:
        yield "setting", "", row["name"], safe_text(row["values"][letter])
    yield from {"session": _of_session, "train": _of_run, "reliability": _of_measurement}[kind](
        section["sides"][letter]
    )


def _of_session(side: Mapping[str, Any]) -> Iterator[tuple[str, Any, str, Any]]:
    for row in side["steps"]:
        level = side["sigmas"][row["step"] + 1]
        for measure, value in (row["rewards"] | {name: row[name] for name in (*COSTS, "noise_norm")}).items():
            yield "step", level, measure, value
    for arm in side["arms"]:
        for measure, value in (arm["rewards"] | {name: arm[name] for name in (*COSTS, "decodes")}).items():
            yield "arm", arm["arm"], measure, value


def _of_run(side: Mapping[str, Any]) -> Iterator[tuple[str, Any, str, Any]]:
    for row in side["epochs"]:
        for measure, value in (row["metrics"] | {name: row[name] for name in COSTS}).items():
            yield "epoch", row["epoch"], measure, value


def _of_measurement(side: Mapping[str, Any]) -> Iterator[tuple[str, Any, str, Any]]:
    for estimate, curve in side["curves"].items():
        for row in curve["own"]:
            for name in CURVE:
                yield "timestep", row["sigma"], f"{estimate} {name}", row[name]


def _difference(kind: str, one: Mapping[str, Any]) -> Iterator[str]:
    place = f"{'+'.join(one['one'])} less {'+'.join(one['other'])}"
    for name in ("mean", "low", "high", "pairs"):
        measure = f"{one['title']}, {one['about']}: {name}"
        yield csv_line(["", "", kind, "", "", "", "difference", place, safe_text(measure), one[name]])
