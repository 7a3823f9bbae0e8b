"""A job that this Blender waits for, from Generate to its take. It outlives connections and starts of the service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..protocol.messages import FetchResult, Message
from ..protocol.models import ModelInfo
from ..protocol.payloads import pack_submit
from ..protocol.wire import Bytes
from ..takes.take_folder import claim_take_folder, new_take_folder
from ..takes.unfinished import UnfinishedTake
from .submission import Submission


@dataclass(eq=False)
class PendingJob:
    """One job and how far it is.

    take: its files; None until a service has said which models it offers. accepted: whether a service has the job.
    cancelling: whether the artist has cancelled it. question_id: id of the message that last asked for it.
    """

    job_id: str
    submission: Submission
    take: UnfinishedTake | None = None
    accepted: bool = False
    cancelling: bool = False
    question_id: str = ""

    def prepare(self, models: Sequence[ModelInfo]) -> UnfinishedTake:
        """The job's take, with the request for one of the `models`. The first call makes the take's folder.

        Raises SettingsError, TakeFolderError and OSError.
        """
        if self.take is None:
            submission = self.submission
            request = submission.request(models)
            chosen = submission.take_folder
            size = request.height, request.width
            self.take = UnfinishedTake(
                folder=claim_take_folder(chosen) if chosen else new_take_folder(submission.output_folder),
                request=request,
                c2w=submission.c2w_at(request.scale),
                K=submission.K_at(size),
                scene=submission.scene,
                shown=submission.shown_at(size),
            )
        return self.take

    def question(self, take: UnfinishedTake) -> tuple[Message, Sequence[Bytes]]:
        """The message that asks for the job's result, and its buffers. take: the result of `prepare`.

        The message is the whole job until a service has accepted it. Raises WireError.
        """
        message: Message
        buffers: Sequence[Bytes] = ()
        if self.accepted:
            message = FetchResult(job_id=self.job_id)
        else:
            message, buffers = pack_submit(take.request, take.c2w, take.K, self.job_id)
        self.question_id = message.id
        return message, buffers
