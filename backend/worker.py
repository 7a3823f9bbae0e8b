"""The child process that owns the model: `python -m backend.worker`, started by `executors.local`.

It speaks the messages of `protocol` over its standard input and output: first it says `Welcome` (device, models), or
`Failed` when it cannot work at all; then it takes `Submit` and `Cancel`, and answers each job with `Progress`,
`Frames`, and one of `Done`, `Failed`, `Cancelled`. One job runs at a time. When its input ends, because the service
ended, however it ended, the process exits at once, and the GPU is free.
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
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from protocol.errors import ProtocolError
from protocol.messages import Cancel, Cancelled, Done, ErrorInfo, Failed, Message, Submit, Welcome, new_id
from protocol.wire import Bytes, decode, encode

from . import __version__
from .pipe import read_frames, write_frames

if TYPE_CHECKING:
    from .generation import Generator

log = logging.getLogger(__name__)


class JobCancelledError(Exception):
    """Raised out of a running generation to stop it."""


class Service:
    """The other end of the pipes."""

    def __init__(self, source: BinaryIO, output: BinaryIO) -> None:
        self.tasks: queue.Queue[tuple[Submit, list[Bytes]]] = queue.Queue()
        self._cancelled: set[str] = set()
        self._source, self._output = source, output

    def send(self, message: Message, buffers: Sequence[Bytes] = ()) -> None:
        """Send a message."""
        write_frames(self._output, encode(message, buffers))

    def send_of_job(self, job_id: str, message: Message, buffers: Sequence[Bytes]) -> None:
        """Send a message of a job. Raises JobCancelledError when somebody wants the job to stop."""
        if job_id in self._cancelled:
            raise JobCancelledError
        self.send(message, buffers)

    def listen(self) -> None:
        """Read until the service ends, then end the process, whatever it is doing: nobody waits for it any more."""
        try:
            while (frames := read_frames(self._source)) is not None:
                message: Submit | Cancel
                message, buffers = decode(frames, Submit | Cancel)
                if isinstance(message, Cancel):
                    self._cancelled.add(message.job_id)
                else:
                    self.tasks.put((message, buffers))
        except ProtocolError:
            log.exception("What the service sends cannot be understood")
        os._exit(0)


def start(service: Service, device: str) -> Generator:
    """Import the model library and greet the service. device: "auto", "cpu" or "cuda".

    The imports are here because they take seconds and may print: the pipes must be listened to, and out of reach.
    """
    device = choose_device(device)
    from . import generation

    generator = generation.Generator(device)
    models = generation.installed_models()
    service.send(Welcome(session=new_id(), service_version=__version__, device=generator.device, models=models))
    return generator


def choose_device(wish: str) -> str:
    """ "cuda" or "cpu" from "auto", "cuda", "cpu". Raises RuntimeError when CUDA is asked for and not there."""
    import torch

    available = torch.cuda.is_available()
    if wish == "cuda" and not available:
        raise RuntimeError("PyTorch finds no CUDA device. Start with --device cpu or auto.")
    return "cuda" if available and wish != "cpu" else "cpu"


def work(service: Service, generator: Generator) -> None:
    """Run jobs for ever."""
    from .generation import describe_failure

    while True:
        submit, buffers = service.tasks.get()
        job_id, started = submit.job_id, time.monotonic()
        outcome: Message
        try:
            generator.run(submit, buffers, functools.partial(service.send_of_job, job_id))
            outcome = Done(job_id=job_id, seconds=time.monotonic() - started)
        except JobCancelledError:
            outcome = Cancelled(job_id=job_id)
        except Exception as error:  # the boundary: whatever goes wrong in a job ends that job only, and is told
            log.exception("Job %s failed", job_id)
            outcome = Failed(job_id=job_id, error=describe_failure(error))
        service.send(outcome)


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
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all processes; the service decides
    service = Service(*take_standard_streams())
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    threading.Thread(target=service.listen, name="listen", daemon=True).start()
    try:
        generator = start(service, arguments.device)
    except Exception as error:  # the boundary: the service cannot look into this process, so it must be told
        log.exception("The worker cannot start")
        hint = "Run `python install.py doctor`, which names what is broken."
        service.send(Failed(error=ErrorInfo(code="worker_start", message=str(error)[:2000], hint=hint)))
        sys.exit(1)
    work(service, generator)


if __name__ == "__main__":
    main()
