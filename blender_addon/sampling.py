"""The panel's way of saying "the model's own value", and the way from the panel's values to the request's settings.

A panel has no empty numbers. Where a model can decide, 0 stands for the model's own value, and "MODEL" among choices.
Files keep it like this. What the panel shows in its place is the value itself, in a property of another name.
"""

from __future__ import annotations

from typing import Any

from .protocol.models import ModelInfo, resolved_settings
from .protocol.settings import SETTINGS, SamplingSettings, Setting

OWN_CHOICE = "MODEL"
"""Choice that stands for the model's own value."""


SHOWN = "shown_"
"""What the names of the properties begin with that show a value in place of 0."""


def panel_name(setting: Setting) -> str:
    """Name of the property that the panel shows for a setting."""
    return SHOWN + setting.name if setting.default is None else setting.name


def is_models_own(setting: Setting, value: Any) -> bool:
    """Whether a property's value stands for the model's own value."""
    return setting.default is None and value in (0, OWN_CHOICE)


def models_own_value(setting: Setting, model: ModelInfo | None, views: int) -> Any:
    """What a model takes where nothing is set. None when no model is known.

    views: number of views; some values depend on it.
    """
    return None if model is None else getattr(resolved_settings(SamplingSettings(), model, views), setting.name)


def sampling_settings(panel: object) -> SamplingSettings:
    """The settings of a request.

    panel: has an attribute for every field of `SamplingSettings`, such as the scene's properties.
    """
    return SamplingSettings(**{setting.name: _value(setting, getattr(panel, setting.name)) for setting in SETTINGS})


def _value(setting: Setting, shown: Any) -> Any:
    if is_models_own(setting, shown):
        return None
    # Blender's floats have 32 bits: 7.3 comes back as 7.300000190734863.
    return float(f"{shown:.6g}") if setting.kind is float else shown
