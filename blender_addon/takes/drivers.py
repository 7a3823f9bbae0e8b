"""Drivers: expressions that Blender evaluates at every scene frame."""

from __future__ import annotations

from typing import Literal

import bpy


def new_driver(owner: bpy.types.ID, path: str, index: int = -1) -> bpy.types.Driver:
    """A driver without an expression yet, in place of an earlier one of the same property.

    owner, path: the data-block and the path in it to the property. index: number of the channel; -1 for a single value.
    """
    owner.driver_remove(path, index)
    curve = owner.driver_add(path, index)
    assert isinstance(curve, bpy.types.FCurve), f"{path} has several channels"
    curve.driver.type = "SCRIPTED"
    return curve.driver


def new_variable(
    driver: bpy.types.Driver, name: str, kind: Literal["SINGLE_PROP", "TRANSFORMS"]
) -> bpy.types.DriverTarget:
    """A new variable of a driver's expression; returns what it reads, to be set."""
    variable = driver.variables.new()
    variable.name = name
    variable.type = kind
    return variable.targets[0]
