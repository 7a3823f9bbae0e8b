"""From the panel's values to the request's settings."""

from types import SimpleNamespace
from typing import Any

import pytest

from blender_addon.protocol.settings import SETTINGS, SamplingSettings, Setting
from blender_addon.sampling import sampling_settings

UNTOUCHED = {
    setting.name: ("MODEL" if setting.choices else 0) if setting.default is None else setting.default
    for setting in SETTINGS
}


def other_value(setting: Setting) -> Any:
    """A value that is allowed and not the one of an untouched panel."""
    return setting.choices[1] if setting.choices else setting.kind(3)


def test_an_untouched_panel_leaves_everything_to_the_model() -> None:
    assert sampling_settings(SimpleNamespace(**UNTOUCHED)) == SamplingSettings()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_value_arrives_in_its_own_field(setting: Setting) -> None:
    value = other_value(setting)
    settings = sampling_settings(SimpleNamespace(**(UNTOUCHED | {setting.name: value})))
    assert settings == SamplingSettings(**{setting.name: value})


def test_blenders_short_floats_are_rounded_to_what_was_typed() -> None:
    panel = SimpleNamespace(**(UNTOUCHED | {"guidance_scale": 7.300000190734863}))
    assert sampling_settings(panel).guidance_scale == 7.3
