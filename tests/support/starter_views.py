"""What a take of the starter model shows: run in the service's Python, as `python starter_views.py TAKE OUT`.

OUT is a JSON file: "objects", the objects of each view and frame as [colour, share of the image, whether it is cut];
"score", how well the views agree on the objects' places (`cvd.evaluation.starter.score`).
"""

import json
import sys
from pathlib import Path

from cvd.evaluation.starter.score import find_all_objects, starter_frames, starter_score
from cvd.takes.export import to_uint8
from cvd.takes.takes import read_take


def main(folder: Path, out: Path) -> None:
    take = read_take(folder)
    found = find_all_objects(to_uint8(take.output.videos), take.cameras)
    objects = [[[(each.colour, each.mask.mean(), each.cut) for each in frame] for frame in view] for view in found]
    document = {"objects": objects, "score": starter_score(starter_frames(take.cameras, found))}
    out.write_text(json.dumps(document))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
