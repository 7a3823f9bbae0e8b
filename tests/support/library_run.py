"""The library's result for a take's record. Run `python library_run.py TAKE FILE OUT` with the service's Python.

TAKE: folder of a take. FILE: transforms.json of the same cameras for an image of another size.
OUT: folder for the frames and latents of the record's own cameras, as in a take, and for cameras.npz. That has the
cameras of FILE in the take's size.
"""

import sys
from pathlib import Path

import numpy as np

from cvd.cameras.files.transforms import read_transforms
from cvd.request import Request
from cvd.takes.export import to_uint8, write_frames
from cvd.takes.record import cameras_of
from cvd.weights.registry import Registry
from protocol.takes import latents_path, read_record, view_folder


def main(take: Path, transforms: Path, out: Path) -> None:
    record = read_record(take)
    registry = Registry()
    model = registry.load(registry.find(record.model.name))
    request = Request(
        record.prompt, cameras_of(record), negative_prompt=record.negative_prompt, settings=record.settings
    )
    output = model.generate(request)
    for view, (video, latents) in enumerate(zip(to_uint8(output.videos), output.latents, strict=True)):
        write_frames(view_folder(out, view), video)
        np.save(latents_path(out, view), latents, allow_pickle=False)
    cameras = read_transforms(transforms).resized(record.height, record.width)
    np.savez(out / "cameras.npz", c2w=cameras.c2w, K=cameras.K)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
