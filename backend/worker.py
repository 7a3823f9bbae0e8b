"""The child process that owns the model: `python -m backend.worker`, started by `executors.local`.

It speaks in `executors.events` over its standard input and output. First it says `Ready`, or `CannotStart`. Then it
takes `RunJob` and `CancelJob`, and sends each job's events. The last event of a job is `Ended`. One job runs at a time.
When its input ends, the service has ended in some way. Then the process exits at once, and the GPU is free.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from protocol.errors import ProtocolError
from protocol.messages import error_info
from protocol.wire import Bytes

from .executors.events import CancelJob, CannotStart, Command, Ended, Ready, RunJob
from .pipe import read_message, write_message

if TYPE_CHECKING:
    from .generation import Generator

log = logging.getLogger(__name__)


class JobCancelledError(Exception):
    """Raised out of a running generation to stop it."""


class Pipes:
    """The worker's ends of the pipes to the service.

    jobs: the jobs that wait, each with its buffers.
    """

    def __init__(self, source: BinaryIO, output: BinaryIO) -> None:
        self.jobs: queue.Queue[tuple[RunJob, list[Bytes]]] = queue.Queue()
        self._cancelled: set[str] = set()
        self._source, self._output = source, output

    def send(self, event: msgspec.Struct, buffers: Sequence[Bytes] = ()) -> None:
        """Send an event."""
        write_message(self._output, event, buffers)

    def send_of_job(self, job_id: str, event: msgspec.Struct, buffers: Sequence[Bytes] = ()) -> None:
        """Send an event of a job. Raises JobCancelledError when somebody wants the job to stop."""
        if job_id in self._cancelled:
            raise JobCancelledError
        self.send(event, buffers)

    def listen(self) -> None:
        """Read until the service ends, and then end the process in the middle of its work: nobody waits for it."""
        try:
            while (message := read_message(self._source, Command)) is not None:
                command, buffers = message
                if isinstance(command, CancelJob):
                    self._cancelled.add(command.job_id)
                else:
                    self.jobs.put((command, buffers))
        except ProtocolError:
            log.exception("What the service sends cannot be understood")
        os._exit(0)


def start(pipes: Pipes, device: str, models: Path, save_seconds: float) -> Generator:
    """Import the model library and greet the service.

    device: "auto", "cpu" or "cuda". models, save_seconds: as `executors.local.LocalExecutor` has them.

    The imports are here because they take seconds and may print. When they start, the pipes must be safe from what
    libraries print, and a thread must read them.
    """
    device = choose_device(device)
    from cvd.weights.registry import Registry

    from .generation import Generator

    registry = Registry(models)
    pipes.send(Ready(device=device, models=registry.infos()))
    return Generator(registry, device, save_seconds)


def choose_device(wish: str) -> str:
    """ "cuda" or "cpu" from "auto", "cuda", "cpu". Raises RuntimeError when CUDA is asked for and not there."""
    import torch

    available = torch.cuda.is_available()
    if wish == "cuda" and not available:
        raise RuntimeError("PyTorch finds no CUDA device. Start with --device cpu or auto.")
    return "cuda" if available and wish != "cpu" else "cpu"


def work(pipes: Pipes, generator: Generator) -> None:
    """Run jobs for ever."""
    from .generation import describe_failure

    while True:
        job, buffers = pipes.jobs.get()
        job_id = job.job_id
        try:
            made = generator.run(job, buffers, functools.partial(pipes.send_of_job, job_id))
            ended = Ended(job_id=job_id, state="done", made=made)
        except JobCancelledError:
            ended = Ended(job_id=job_id, state="cancelled")
        except Exception as error:  # whatever goes wrong in a job ends that job only, and its client is told
            log.exception("Job %s failed", job_id)
            ended = Ended(job_id=job_id, state="failed", error=describe_failure(error))
        try:
            pipes.send(ended)
        except ProtocolError as error:  # such as warnings without end; the worker and its model go on
            log.exception("The end of job %s could not be told", job_id)
            pipes.send(Ended(job_id=job_id, state="failed", error=describe_failure(error)))


def take_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """The pipes of the service, as (input, output). What libraries print goes to standard error from here on."""
    source, output = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return source, output


def main() -> None:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="python -m backend.worker", description="Started by the service.")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--save-seconds", type=float, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all processes; the service decides
    pipes = Pipes(*take_standard_streams())
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    threading.Thread(target=pipes.listen, name="listen", daemon=True).start()
    try:
        generator = start(pipes, options.device, options.models, options.save_seconds)
    except Exception as error:  # the service cannot look into this process, so it must be told
        log.exception("The worker cannot start")
        hint = "Run `python install.py doctor`, which names what is broken."
        pipes.send(CannotStart(error=error_info("worker_start", str(error), hint)))
        sys.exit(1)
    work(pipes, generator)


if __name__ == "__main__":
    main()
