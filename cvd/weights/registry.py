"""The models on this machine: names, descriptions and loading. Torch is not needed to find them."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from protocol.models import STARTER_NAME, ModelInfo, ModelReference
from protocol.places import models_folder

from ..errors import CheckpointError, RequestError
from ..family import AS_IT_IS, FAMILIES, LoadOptions, VideoModel, register
from ..memory import MemoryPlan, usual_precision
from .collaborative import NAME, CollaborativeFamily
from .model_info import STARTER

MODEL_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z ._-]{0,127}")

log = logging.getLogger(__name__)

register(NAME, CollaborativeFamily())


@dataclass(frozen=True)
class InstalledModel:
    """A model on disk. name: name to ask for. info: its description. folder: folder of its files."""

    name: str
    info: ModelInfo
    folder: Path


class Registry:
    """The starter model, and the models in one folder. Each folder in it is offered by its name.

    Official folders, folders that `python -m cvd convert` wrote, and folders that another family knows are models.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """folder: folder of the user's models; None: the usual one (`protocol.places.models_folder`)."""
        self.folder = models_folder() if folder is None else folder
        self._hashes: dict[tuple[Path, int, int], str] = {}

    def models(self) -> list[InstalledModel]:
        """All models that can be loaded, the starter first, the others by name. Damaged ones are left out."""
        found = []
        for name, folder in [(STARTER_NAME, STARTER), *self._folders()]:
            try:
                found.append(model_in(folder, name))
            except CheckpointError as error:
                log.warning("The folder %s is not offered: %s", folder, error.message)
        return found

    def infos(self) -> tuple[ModelInfo, ...]:
        """The descriptions of the models, as `models` lists them."""
        return tuple(model.info for model in self.models())

    def find(self, name: str) -> InstalledModel:
        """The model of a name. The name is never a path.

        Raises:
            RequestError: no model has this name. CheckpointError: it is damaged.
        """
        for offered, folder in [(STARTER_NAME, STARTER), *self._folders()]:
            if offered == name:
                return model_in(folder, name)
        names = ", ".join(model.name for model in self.models()) or "none"
        raise RequestError(
            f'There is no model "{name[:80]}"; there are: {names}.',
            f"Choose one of these, or put the model's folder into {self.folder}.",
        )

    def open(self, model: str) -> InstalledModel:
        """The model that a user of this machine gives, by its name or by the path of its folder.

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        folder = Path(model)
        if model != STARTER_NAME and folder.is_dir():
            return model_in(folder)
        try:
            return self.find(model)
        except RequestError as error:
            raise CheckpointError(error.message, error.hint) from None

    def load(
        self,
        model: InstalledModel,
        device: str = "cpu",
        plan: MemoryPlan | None = None,
        options: LoadOptions = AS_IT_IS,
    ) -> VideoModel:
        """Loads a model.

        Args:
            device: cpu, cuda or cuda:N.
            plan: use of memory; None: the usual precision of the device.

        Raises:
            CheckpointError: a file is missing or does not fit.
            RequestError: the model does not have the options, or the device does not exist.
        """
        plan = MemoryPlan(precision=usual_precision(device)) if plan is None else plan
        return FAMILIES[model.info.family].load(model.folder, device, plan, options)

    def reference(self, model: InstalledModel, options: LoadOptions = AS_IT_IS) -> ModelReference:
        """The model's name and the hash of all that is loaded. This object keeps the hashes of files."""
        together = hashlib.sha256()
        for path in FAMILIES[model.info.family].files(model.folder, options):
            together.update(f"{path.name} {self._hash(path)}\n".encode())
        together.update("".join(f"{weight!r} " for _, weight in options.lora).encode())
        return ModelReference(name=model.name, family=model.info.family, sha256=together.hexdigest())

    def _folders(self) -> list[tuple[str, Path]]:
        """Names and folders that may be models, sorted. The starter's name is left out."""
        if not self.folder.is_dir():
            return []
        names = sorted(path.name for path in self.folder.iterdir() if path.is_dir() and MODEL_NAME.fullmatch(path.name))
        return [(name, self.folder / name) for name in names if name != STARTER_NAME]

    def _hash(self, path: Path) -> str:
        try:
            status = path.stat()
            key = (path, status.st_size, status.st_mtime_ns)
            if key not in self._hashes:
                with open(path, "rb") as file:
                    self._hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}.", "Check the model's folder.") from error
        return self._hashes[key]


def model_in(folder: Path, name: str | None = None) -> InstalledModel:
    """The model in a folder. name: its name; None: the name in its description.

    Raises:
        CheckpointError: no family knows it, or it is damaged.
    """
    for family in FAMILIES.values():
        info = family.find(folder)
        if info is not None:
            name = name or info.name
            return InstalledModel(name, msgspec.structs.replace(info, name=name), folder)
    raise CheckpointError(
        f"{folder} is not a model.", "Give a folder written by `python -m cvd convert`, or one with the official files."
    )
