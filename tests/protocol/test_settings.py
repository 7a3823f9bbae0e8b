"""The schema of settings describes the struct that travels."""

import math

import msgspec
import pytest

from protocol.settings import MAX_SEED, SETTINGS, SOLVERS, SamplingSettings, Setting

BY_NAME = {setting.name: setting for setting in SETTINGS}


def on_the_wire(name: str, value: object) -> bool:
    """Whether a message may carry this value."""
    try:
        decoded = msgspec.json.decode(msgspec.json.encode({name: value}), type=SamplingSettings)
    except msgspec.MsgspecError:
        return False
    return getattr(decoded, name) == value


def edges(setting: Setting) -> list[object]:
    """Values in its range and just outside."""
    if setting.choices:
        return [*setting.choices, "", "DDIM", 1, None, True]
    step = 1 if setting.kind is int else 0.5
    low, high = setting.kind(setting.low), setting.kind(setting.high)
    return [low - step, low, low + step, high, high + step, None, "1", True, math.nan, math.inf]


def test_every_field_is_described_for_people() -> None:
    assert [setting.name for setting in SETTINGS] == list(SamplingSettings.__struct_fields__)
    for setting in SETTINGS:
        assert setting.title
        assert setting.description
        assert not setting.description.endswith(".")
        assert setting.default == getattr(SamplingSettings(), setting.name)
        assert setting.low <= setting.usual <= setting.high


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_schema_allows_what_the_wire_does(setting: Setting) -> None:
    for value in edges(setting):
        assert setting.allows(value) == on_the_wire(setting.name, value), value


def test_ranges_are_told_in_words() -> None:
    assert BY_NAME["num_inference_steps"].range_text == "1 to 999"
    assert BY_NAME["seed"].range_text == "0 to 2^63 - 1"
    assert BY_NAME["seed"].allows(MAX_SEED)
    assert BY_NAME["scheduler"].range_text == "ddim, dpmsolver++ or euler"
    assert BY_NAME["scheduler"].choices == SOLVERS
