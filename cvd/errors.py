"""Errors of the model library. Each says what is wrong and what to do next."""

from __future__ import annotations


class CVDError(Exception):
    """Base of all errors that a user can correct.

    `code` is for programs and never changes. `message` says what is wrong. `hint` says what to do next.
    """

    code = "cvd"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class CameraError(CVDError):
    """Cameras that cannot be used: wrong shapes, not rigid, not finite, impossible intrinsics."""

    code = "camera"


class RequestError(CVDError):
    """A setting outside its range, such as a size that is not divisible by 8."""

    code = "request"


class CheckpointError(CVDError):
    """A file that is missing, truncated, not a checkpoint, or has other tensors than the model."""

    code = "checkpoint"


class PromptWarning(UserWarning):
    """A part of a prompt that the model does not read."""
