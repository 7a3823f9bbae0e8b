"""The error of the training commands."""

from ..errors import CVDError


class TrainingError(CVDError):
    """Training cannot start or continue, for example because a file is missing or the loss is not finite."""

    code = "training"
