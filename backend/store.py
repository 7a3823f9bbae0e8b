"""Requests and results on disk, so that a client that comes back gets what it asked for, also after a restart.

    jobs/20250131-142500-<job id>/job.json              state, request, and whose job it is
                                  c2w.npy, K.npy        cameras, as `Submit` has them
                                  view_00/0001.png ...  frames, as `Frames` has them

A job's folder, each of its views and each new state appear whole or not at all, wherever the service is interrupted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from protocol.errors import ProtocolError
from protocol.messages import ErrorInfo, JobInfo
from protocol.wire import Bytes

from .lifetime import is_locked

log = logging.getLogger(__name__)


class StoreError(ProtocolError):
    """The disk does not take or give a job's files."""

    code = "disk"


class _Record(msgspec.Struct, frozen=True):
    """What job.json holds. owner: the lock that the job's service holds for as long as it runs."""

    owner: str
    job: JobInfo


class Store:
    """The jobs in one folder, which several services may share. All methods but the constructor raise StoreError."""

    def __init__(self, folder: Path, owner: Path) -> None:
        """owner: the lock file (`lifetime.FileLock`) that this service holds."""
        self.folder = folder
        self._owner = str(owner)
        self._folders: dict[str, Path] = {}

    def load(self, now: float) -> list[JobInfo]:
        """All jobs, oldest first. Those that a service left unfinished which has ended are recorded as failed.

        Left out are jobs that another service is at, and those whose file is broken, which the log says.
        """
        jobs = []
        with _disk(f"read the jobs in {self.folder}"):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            paths = sorted(self.folder.glob("[0-9]*/job.json"))
        for path in paths:
            try:
                with _disk(f"read {path}"):
                    record = msgspec.json.decode(path.read_bytes(), type=_Record)
            except StoreError as error:
                log.warning("A job is left out: %s", error)
                continue
            job = record.job
            if job.finished is None and record.owner != self._owner and is_locked(Path(record.owner)):
                continue
            self._folders[job.job_id] = path.parent
            jobs.append(job if job.finished else self._interrupt(job, now))
        return sorted(jobs, key=lambda job: job.submitted)

    def create(self, job: JobInfo, c2w: np.ndarray, K: np.ndarray) -> None:
        """Keep a new job and its cameras."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(job.submitted))
        folder = self.folder / f"{stamp}-{job.job_id}"
        with _disk(f"write job {job.job_id}"), _whole_folder(folder) as temporary:
            np.save(temporary / "c2w.npy", c2w, allow_pickle=False)
            np.save(temporary / "K.npy", K, allow_pickle=False)
            self._write(job, temporary)
        self._folders[job.job_id] = folder

    def update(self, job: JobInfo) -> None:
        """Keep a job's new state."""
        with _disk(f"write job {job.job_id}"):
            self._write(job, self._folders[job.job_id])

    def cameras(self, job_id: str) -> tuple[np.ndarray, np.ndarray]:
        """(c2w, K) as they were submitted."""
        folder = self._folders[job_id]
        with _disk(f"read job {job_id}"):
            return np.load(folder / "c2w.npy", allow_pickle=False), np.load(folder / "K.npy", allow_pickle=False)

    def add_view(self, job_id: str, view: int, images: Sequence[Bytes]) -> None:
        """Keep the PNG files of one finished view."""
        with _disk(f"write the frames of job {job_id}"), _whole_folder(self._view(job_id, view)) as temporary:
            for number, image in enumerate(images, start=1):
                (temporary / f"{number:04}.png").write_bytes(image)

    def views(self, job_id: str) -> Iterator[tuple[int, list[bytes]]]:
        """The finished views of a job, each with its PNG files in order."""
        for view in range(100):
            folder = self._view(job_id, view)
            if folder.is_dir():
                with _disk(f"read the frames of job {job_id}"):
                    yield view, [path.read_bytes() for path in sorted(folder.glob("*.png"))]

    def _view(self, job_id: str, view: int) -> Path:
        return self._folders[job_id] / f"view_{view:02}"

    def _write(self, job: JobInfo, folder: Path) -> None:
        temporary = folder / ".job.json"
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(_Record(self._owner, job))))
        os.replace(temporary, folder / "job.json")

    def _interrupt(self, job: JobInfo, now: float) -> JobInfo:
        error = ErrorInfo(
            code="interrupted",
            message="The service ended before this job did.",
            hint="Generate again; the service's log may tell why it ended.",
        )
        job = msgspec.structs.replace(job, state="failed", finished=now, error=error)
        self.update(job)
        return job


@contextlib.contextmanager
def _disk(task: str) -> Iterator[None]:
    """Turn what the disk refuses into StoreError. task: what was tried, as in "could not ..."."""
    try:
        yield
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise StoreError(
            f"The service could not {task}: {error}.", "Make room on the disk, or check the folder's permissions."
        ) from error


@contextlib.contextmanager
def _whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` at the end, and is gone after an error."""
    temporary = folder.with_name(f".{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)  # of a start that was interrupted
    temporary.mkdir(mode=0o700)
    try:
        yield temporary
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
