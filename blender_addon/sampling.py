"""The panel's way of saying "the model's own value", and the way from the panel's values to the request's settings.

A panel has no empty numbers. Where a model can decide, 0 stands for the model's own value, and "MODEL" among choices.
"""

from __future__ import annotations

from typing import Any

from .protocol.settings import SETTINGS, SamplingSettings, Setting

OWN_CHOICE = "MODEL"
"""Choice that stands for the model's own value."""


def sampling_settings(panel: object) -> SamplingSettings:
    """The settings of a request.

    panel: has an attribute for every field of `SamplingSettings`, such as the scene's properties.
    """
    return SamplingSettings(**{setting.name: _value(setting, getattr(panel, setting.name)) for setting in SETTINGS})


def _value(setting: Setting, shown: Any) -> Any:
    if setting.default is None and shown in (0, OWN_CHOICE):
        return None
    # Blender's floats have 32 bits: 7.3 comes back as 7.300000190734863.
    return float(f"{shown:.6g}") if setting.kind is float else shown
