"""The built extension holds a copy of `protocol`; here the add-on's modules find the project's in the same place."""

import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "protocol"

if "blender_addon.protocol" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "blender_addon.protocol", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = package
    spec.loader.exec_module(package)
