"""The command line: `python -m backend [serve|status|jobs|stop]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from protocol.client import connect
from protocol.connection import connection_path, read_connection
from protocol.errors import ProtocolError, ServiceLostError
from protocol.messages import JobInfo, Jobs, JobsRequest, Shutdown, Status, StatusRequest
from protocol.places import models_folder

from . import serve
from .lifetime import WatchedProcess

STOP_SECONDS = 15.0
CLIENT = "command line"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Errors that a user can correct are one line on standard error."""
    options = _parser().parse_args(arguments)
    options.connection_file = (options.connection_file or connection_path()).absolute()
    try:
        options.command(options)
    except ProtocolError as error:
        print(f"error: {error.message} {error.hint}".rstrip(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--connection-file", type=Path, metavar="PATH", help="where the service is found (default: the user's own)"
    )
    parser = argparse.ArgumentParser(prog="python -m backend", description="The generation service.", parents=[common])
    parser.set_defaults(command=_serve, models=None, device="auto", parent_pid=None, bind=(serve.LOOPBACK, None))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(name: str, command: object, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, parents=[common])
        added.set_defaults(command=command)
        return added

    serving = add("serve", _serve, "Run the service until it is stopped (this is what no command does).")
    serving.add_argument(
        "--models", type=Path, metavar="DIR", help=f"where the installed models lie (default: {models_folder()})"
    )
    serving.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the model runs")
    serving.add_argument("--parent-pid", type=int, metavar="PID", help="end when this process has ended")
    serving.add_argument(
        "--bind",
        type=_address,
        default=(serve.LOOPBACK, None),
        metavar="HOST[:PORT]",
        help="listen on this address, such as 0.0.0.0:5580, instead of a free port that only this machine reaches",
    )
    add("status", _status, "Show how the running service is.")
    add("jobs", _jobs, "List the jobs of the running service, newest last.")
    add("stop", _stop, "End the running service; unfinished jobs end as cancelled.")
    return parser


def _address(text: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, None
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST or HOST:PORT")
    return host, int(port)


def _serve(options: argparse.Namespace) -> None:
    host, port = options.bind
    models = (options.models or models_folder()).absolute()
    serve.run(serve.Options(options.connection_file, models, options.device, options.parent_pid, host, port))


def _status(options: argparse.Namespace) -> None:
    with connect(CLIENT, options.connection_file) as client:
        status, _ = client.request(StatusRequest())
        assert isinstance(status, Status)
        models = client.wait_welcome().models
    lines = {
        "worker": f"{status.worker} on {status.device}" if status.device else status.worker,
        "running": ", ".join(status.running) or "no job",
        "queued": str(status.queued),
        "models": ", ".join(model.name for model in models) or "none installed",
        "up for": f"{status.uptime / 60:.1f} min, process {client.connection.pid}",
        "endpoint": client.connection.endpoint,
        "log": client.connection.log_path,
    }
    for name, value in lines.items():
        print(f"{name:9} {value}")


def _jobs(options: argparse.Namespace) -> None:
    with connect(CLIENT, options.connection_file) as client:
        answer, _ = client.request(JobsRequest())
        assert isinstance(answer, Jobs)
    for job in answer.jobs:
        print(_describe(job))


def _describe(job: JobInfo) -> str:
    request = job.request
    submitted = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.submitted))
    size = f"{len(request.view_names)} x {request.width}x{request.height}"
    ending = f"  [{job.error.message}]" if job.error else ""
    return f"{job.job_id}  {job.state:9}  {submitted}  {size:14}  {request.prompt[:60]!r}{ending}"


def _stop(options: argparse.Namespace) -> None:
    process = WatchedProcess(read_connection(options.connection_file).pid)
    with connect(CLIENT, options.connection_file) as client:
        client.request(Shutdown())
    deadline = time.monotonic() + STOP_SECONDS
    while not process.is_gone():
        if time.monotonic() > deadline:
            raise ServiceLostError("The service agreed to end but has not.", "Its log may tell why.")
        time.sleep(0.05)
    print("The service has ended.")
