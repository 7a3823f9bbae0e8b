"""Requests and results on disk. A client that comes back gets what it asked for, also after a restart.

    jobs/20250131-142500-<job id>/job.json               state, request, and which service the job belongs to
                                  c2w.npy, K.npy         cameras, as `Submit` has them
                                  sampler.safetensors    the sampler's state, as long as the job runs
                                  view_00/0001.png ...   frames, as `ViewFrames` has them
                                  view_00/latents.npy    latents, (C, F, h, w) float32
                                  take.json              the take's record, when the job is done

The folder of a job that is done is a take (`protocol.takes`). Every file appears whole or not at all. A job exists when
it has a job.json. A view is finished when it has all its files.
"""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from protocol.errors import ProtocolError
from protocol.files import PRIVATE, write_whole
from protocol.messages import ErrorInfo, JobInfo
from protocol.takes import TAKE_FILE, encode_record, frame_path, latents_path, record_of, take_files, view_folders
from protocol.wire import Bytes

from .jobs import seconds_of
from .lifetime import is_locked

JOB_FILE, C2W_FILE, K_FILE, STATE_FILE = "job.json", "c2w.npy", "K.npy", "sampler.safetensors"

log = logging.getLogger(__name__)


class StoreError(ProtocolError):
    """The disk does not take or give a job's files."""

    code = "disk"


class _Record(msgspec.Struct, frozen=True):
    """What job.json holds. owner: path of the lock that the job's service holds as long as it runs."""

    owner: str
    job: JobInfo


class Store:
    """The jobs in one folder, which several services may share. All methods raise StoreError."""

    def __init__(self, folder: Path, owner: Path) -> None:
        """owner: the lock file (`lifetime.FileLock`) that this service holds."""
        self.folder = folder
        self._owner = str(owner)
        self._folders: dict[str, Path] = {}

    def load(self, now: float) -> list[JobInfo]:
        """All jobs, oldest first. Those that an ended service left unfinished are recorded as failed.

        The list does not have the unfinished jobs of another service that runs, nor jobs whose file is broken. The log
        names the broken ones. now: seconds since the epoch.
        """
        jobs = []
        with _disk(f"read the jobs in {self.folder}"):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            paths = sorted(self.folder.glob(f"[0-9]*/{JOB_FILE}"))
        for path in paths:
            try:
                record = _read_record(path)
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
        with _disk(f"write job {job.job_id}"):
            try:
                _write_array(folder / C2W_FILE, c2w)
                _write_array(folder / K_FILE, K)
                self._write(job, folder)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        self._folders[job.job_id] = folder

    def update(self, job: JobInfo) -> None:
        """Keep a job's new state. The sampler's state of a job that is over is removed."""
        folder = self._folders[job.job_id]
        with _disk(f"write job {job.job_id}"):
            if job.finished is not None:  # first, because that makes room on the disk
                for path in folder.glob(f"*{STATE_FILE}*"):  # also what a killed worker left half written
                    path.unlink(missing_ok=True)
            self._write(job, folder)

    def cameras(self, job_id: str) -> tuple[np.ndarray, np.ndarray]:
        """(c2w, K) as they were submitted: (V, F, 4, 4) and (V, F, 3, 3), float64."""
        folder = self._folders[job_id]
        with _disk(f"read job {job_id}"):
            return _read_array(folder / C2W_FILE), _read_array(folder / K_FILE)

    def state_file(self, job_id: str) -> Path:
        """The file of the sampler's state. It exists while a job runs that has been saved."""
        return self._folders[job_id] / STATE_FILE

    def add_view(self, job_id: str, view: int, images: Sequence[Bytes], latents: np.ndarray) -> None:
        """Keep a finished view.

        images: the PNG files of its frames, in order. latents: (C, F, h, w) float32.
        """
        folder = self._folders[job_id]
        with _disk(f"write the frames of job {job_id}"):
            for frame, image in enumerate(images):
                write_whole(frame_path(folder, view, frame), bytes(image), PRIVATE)
            _write_array(latents_path(folder, view), latents)

    def views(self, job_id: str) -> Iterator[tuple[int, list[bytes], np.ndarray]]:
        """The finished views of a job: (number, PNG files in order, latents). A missing file leaves a view out."""
        folder = self._folders[job_id]
        frames = self.cameras(job_id)[0].shape[1]
        with _disk(f"read the frames of job {job_id}"):
            for view, _ in view_folders(folder):
                latents, images = latents_path(folder, view), [frame_path(folder, view, n) for n in range(frames)]
                if all(path.is_file() for path in (latents, *images)):
                    yield view, [path.read_bytes() for path in images], _read_array(latents)

    def add_take(self, job: JobInfo) -> None:
        """Make a take of a done job, whose views are all there."""
        folder = self._folders[job.job_id]
        c2w, K = self.cameras(job.job_id)
        assert job.made is not None, "the job is done"
        with _disk(f"write the take of job {job.job_id}"):
            record = record_of(
                job.request,
                c2w,
                K,
                made=job.made,
                created=job.finished or 0.0,
                seconds=seconds_of(job),
                job_id=job.job_id,
                files=take_files(folder),
            )
            write_whole(folder / TAKE_FILE, encode_record(record), PRIVATE)

    def _write(self, job: JobInfo, folder: Path) -> None:
        content = msgspec.json.format(msgspec.json.encode(_Record(self._owner, job)))
        write_whole(folder / JOB_FILE, content, PRIVATE)

    def _interrupt(self, job: JobInfo, now: float) -> JobInfo:
        error = ErrorInfo(
            code="interrupted",
            message="The service ended before this job did.",
            hint="Generate again; the service's log may tell why it ended.",
        )
        job = msgspec.structs.replace(job, state="failed", finished=now, error=error)
        self.update(job)
        return job


def _read_record(path: Path) -> _Record:
    with _disk(f"read {path}"):
        record = msgspec.json.decode(path.read_bytes(), type=_Record)
        job = record.job
        if (job.state == "done") != (job.made is not None) or (job.state == "failed") != (job.error is not None):
            raise ValueError(f'its state is "{job.state}", which does not fit the rest')
        return record


def _write_array(path: Path, array: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    write_whole(path, content.getvalue(), PRIVATE)


def _read_array(path: Path) -> np.ndarray:
    return np.load(path, allow_pickle=False)


@contextlib.contextmanager
def _disk(task: str) -> Iterator[None]:
    """Turn errors of the disk into StoreError. task: what was tried, as in "could not ..."."""
    try:
        yield
    except (OSError, ValueError, EOFError, msgspec.MsgspecError) as error:
        raise StoreError(
            f"The service could not {task}: {error}.", "Make room on the disk, or check the folder's permissions."
        ) from error
