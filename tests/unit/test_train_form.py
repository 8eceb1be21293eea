"""The form of page Train: every setting is in it with help, and a preset's values are the config that it stands for."""

from dataclasses import fields

import pytest

from app.ui.train import FIELDS, GROUPS, HELP, flat
from core.config import SearchConfig
from core.train_config import TRAIN_PRESETS, TrainConfig, from_dict, preset


def test_every_setting_is_in_the_form_with_help() -> None:
    settings = {one.name for one in fields(TrainConfig)} - {"search"}
    settings |= {f"search.{one.name}" for one in fields(SearchConfig)}
    assert sorted(field.name for field in FIELDS) == sorted(settings | {"name"})
    assert all(HELP[field.name] for field in FIELDS)
    assert {field.group for field in FIELDS} == {"", *GROUPS}


@pytest.mark.parametrize("name", TRAIN_PRESETS)
def test_a_presets_values_by_field_are_its_config(name: str) -> None:
    values = flat(preset(name))
    search = {field.partition(".")[2]: values.pop(field) for field in list(values) if field.startswith("search.")}
    values |= {"model": preset(name).model, "threads": preset(name).threads}  # these are told as they are here
    assert from_dict(values | {"search": search}) == preset(name)
