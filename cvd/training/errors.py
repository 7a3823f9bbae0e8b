"""The error of the training commands."""

from ..errors import CVDError


class TrainingError(CVDError):
    """Training cannot start or go on: an earlier step's result is missing, or the loss is no longer finite."""

    code = "training"
