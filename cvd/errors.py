"""Errors of the model library: each says what is wrong and what to do next."""

from __future__ import annotations


class CVDError(Exception):
    """Base of all errors that a user can mend.

    `code` is stable and for programs, `message` says what is wrong, `hint` says what to do next.
    """

    code = "cvd"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class CameraError(CVDError):
    """Cameras that no image can be made for: wrong shapes, not rigid, not finite, impossible intrinsics."""

    code = "camera"


class RequestError(CVDError):
    """A setting outside its range, such as a size that is not divisible by 8."""

    code = "request"


class CheckpointError(CVDError):
    """A checkpoint that is missing, truncated, not a checkpoint, or holds other tensors than the model."""

    code = "checkpoint"


class PromptWarning(UserWarning):
    """A part of a prompt that the model does not read."""
