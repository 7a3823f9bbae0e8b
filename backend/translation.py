"""Turns the messages of clients into commands for executors, and executors' events into messages. Nothing else does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protocol.messages import Cancelled, Done, Failed, JobInfo, JobProgress, Welcome
from protocol.wire import Bytes, describe_array, read_array

from . import __version__
from .executors.events import Progressed, Ready, RunJob, ViewFinished, Warned
from .jobs import seconds_of


def welcome_of(ready: Ready, session: str) -> Welcome:
    """The greeting for clients. session: id of this start of the service."""
    return Welcome(session=session, service_version=__version__, device=ready.device, models=ready.models)


def run_job(job: JobInfo, c2w: np.ndarray, K: np.ndarray, state_file: str) -> tuple[RunJob, list[Bytes]]:
    """The command to run a job, and its buffers.

    c2w: (V, F, 4, 4), K: (V, F, 3, 3), float64. state_file: as `RunJob` has it.
    """
    (about_c2w, c2w_data), (about_K, K_data) = describe_array(c2w), describe_array(K)
    command = RunJob(job_id=job.job_id, request=job.request, cameras=(about_c2w, about_K), state_file=state_file)
    return command, [c2w_data, K_data]


def progress_message(event: Progressed | Warned) -> JobProgress:
    """What listeners hear of a job's progress."""
    if isinstance(event, Warned):
        return JobProgress(job_id=event.job_id, stage="encoding", step=0, of=1, warning=event.warning)
    return JobProgress(
        job_id=event.job_id, stage=event.stage, step=event.step, of=event.of, seconds_left=event.seconds_left
    )


def view_parts(event: ViewFinished, buffers: Sequence[Bytes]) -> tuple[list[Bytes], np.ndarray]:
    """(images, latents) of a finished view: the PNG files of its frames, and (C, F, h, w) float32."""
    return list(buffers[:-1]), read_array(event.latents, buffers[-1])


def last_message(job: JobInfo) -> Done | Failed | Cancelled:
    """What listeners are told at a job's end."""
    if job.state == "cancelled":
        return Cancelled(job_id=job.job_id)
    if job.error is not None:
        return Failed(job_id=job.job_id, error=job.error)
    assert job.made is not None, "the job is done"
    return Done(job_id=job.job_id, seconds=seconds_of(job), made=job.made)
