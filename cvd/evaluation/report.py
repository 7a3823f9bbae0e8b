"""All measures of one take, and of several takes together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.geometry import frame_indices
from protocol.models import STARTER_NAME
from protocol.takes import TAKE_FILE, TakeError, TakeRecord, read_record, view_folder, view_name

from ..cameras.cameras import Cameras
from ..cameras.files import read_transforms
from ..errors import RequestError
from ..takes.record import cameras_of
from ..takes.takes import TRANSFORMS_FILE, read_videos
from .camera_fidelity import AUC_DEGREES, CameraFidelity, camera_fidelity
from .clip import Clip, clip_frame_score, clip_text_score
from .consistency import FrameConsistency, ViewMatches, frame_consistency, match_views
from .identical import IdenticalViews, identical_trajectory_errors
from .matching import Matcher
from .starter.objects import Frames, Region
from .starter.poses import aligned_camera_fidelity, asks_for_telling_ground
from .starter.score import NamedColours, StarterFrame, find_all_objects, named_colours, starter_frames, starter_score

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Take:
    """A take that was read from disk.

    Attributes:
        name: folder of the take.
        videos: (V, F, H, W, 3) sRGB.
        cameras: asked cameras.
        frame_numbers: (F,) numbers from 1, as in the names of the frames' files.
        prompt, model: prompt and name of the model; empty if unknown.
    """

    name: str
    videos: Frames
    cameras: Cameras
    frame_numbers: tuple[int, ...]
    prompt: str = ""
    model: str = ""


@dataclass(frozen=True, eq=False)
class StarterReport:
    """The measures that exist only for the starter model's world.

    Attributes:
        frames: score of each frame of each pair of views.
        colours: colours that the prompt names; None: the prompt is unknown.
        fidelity: errors of the poses that are found by aligning the ground; None: the prompt asks for a ground that
            does not show every movement.
    """

    frames: list[StarterFrame]
    colours: NamedColours | None
    fidelity: CameraFidelity | None


@dataclass(frozen=True, eq=False)
class TakeReport:
    """The measures of one take. `embeddings`: (V, F, D) of CLIP; None: no CLIP model was given."""

    name: str
    frame_numbers: tuple[int, ...]
    prompt: str
    matcher: str
    consistency: list[FrameConsistency]
    fidelity: CameraFidelity
    identical: list[IdenticalViews]
    starter: StarterReport | None = None
    clip_text: float | None = None
    clip_frame: float | None = None
    embeddings: Array | None = None

    @property
    def quality(self) -> float:
        """A value in [0, 1] that ranks takes: the starter's score, or the mean precision; 1 for a single view."""
        if self.starter is not None and not math.isnan(score := starter_score(self.starter.frames)):
            return score
        return float(np.mean([frame.precision for frame in self.consistency])) if self.consistency else 1.0


@dataclass(frozen=True, eq=False)
class Evidence:
    """The data behind a take's measures, for the picture."""

    take: Take
    matched: list[ViewMatches]
    objects: list[list[list[Region]]] | None


def find_takes(folder: Path) -> list[Path]:
    """The folder itself if it is a take, or all takes below it, sorted by name.

    Raises:
        RequestError: there is no take.
    """
    if view_folder(folder, 0).is_dir():
        return [folder]
    found = sorted(path.parent for path in folder.rglob(view_name(0)) if path.is_dir())
    if not found:
        raise RequestError(
            f"{folder} holds no take.",
            "Give a folder with a take, or one with view_00/0001.png and transforms.json.",
        )
    return found


def load_take(folder: Path, frames: int | None = None, model: str | None = None) -> Take:
    """Read a take's frames, cameras, prompt and model.

    Args:
        folder: folder of the take.
        frames: number of evenly spread frames; None: all frames.
        model: name of the model; None: the name in take.json.

    Raises:
        RequestError, CameraError: the take is incomplete, or its frames and cameras do not fit each other.
    """
    videos = read_videos(folder)
    record = _record(folder)
    cameras = read_transforms(folder / TRANSFORMS_FILE) if record is None else cameras_of(record)
    if videos.shape[:2] != (cameras.views, cameras.frames):
        raise RequestError(
            f"{folder} has {videos.shape[0]} views of {videos.shape[1]} frames, but cameras for {cameras.views} views "
            f"of {cameras.frames}.",
            "Give a folder whose cameras belong to its frames.",
        )
    cameras = cameras.resized(*videos.shape[2:4])
    count = cameras.frames if frames is None else min(frames, cameras.frames)
    picked_cameras, picked = cameras.resampled(count), frame_indices(cameras.frames, count)
    return Take(
        name=str(folder),
        videos=videos[:, picked],
        cameras=picked_cameras,
        frame_numbers=tuple(int(index) + 1 for index in picked),
        prompt="" if record is None else record.prompt,
        model=("" if record is None else record.model.name) if model is None else model,
    )


def evaluate_take(take: Take, matcher: Matcher, clip: Clip | None = None) -> tuple[TakeReport, Evidence]:
    """Every measure that applies to a take."""
    features = [[matcher.detect(frame) for frame in video] for video in take.videos]
    matched = match_views(features, matcher)
    objects, starter = None, None
    if take.model == STARTER_NAME:
        objects = find_all_objects(take.videos, take.cameras)
        starter = StarterReport(
            frames=starter_frames(take.cameras, objects, matched if matcher.name == "disk" else ()),
            colours=named_colours(take.prompt, objects) if take.prompt else None,
            fidelity=starter_fidelity(take),
        )
    embeddings, text_score, frame_score = None, None, None
    if clip is not None:
        views, frames = take.videos.shape[:2]
        embeddings = clip.embed_images(take.videos.reshape(-1, *take.videos.shape[2:])).reshape(views, frames, -1)
        text_score = clip_text_score(embeddings, clip.embed_text(take.prompt)) if take.prompt else None
        frame_score = clip_frame_score(embeddings)
    report = TakeReport(
        name=take.name,
        frame_numbers=take.frame_numbers,
        prompt=take.prompt,
        matcher=matcher.name,
        consistency=[frame_consistency(take.cameras, found) for found in matched],
        fidelity=camera_fidelity(take.cameras, features, matcher),
        identical=identical_trajectory_errors(take.videos / 255.0, take.cameras),
        starter=starter,
        clip_text=text_score,
        clip_frame=frame_score,
        embeddings=embeddings,
    )
    return report, Evidence(take, matched, objects)


def starter_fidelity(take: Take) -> CameraFidelity | None:
    """Errors of the poses found by aligning the ground; None: the prompt's ground does not show every movement."""
    if not asks_for_telling_ground(take.prompt):
        return None
    return aligned_camera_fidelity(take.videos, take.cameras)


def summary(reports: Sequence[TakeReport]) -> dict[str, Any]:
    """The measures of several takes together, in JSON's types: means over frames, and medians and areas over all poses.

    A value that could not be measured is None.
    """
    frames = [frame for report in reports for frame in report.consistency]
    measures: dict[str, Any] = {
        "takes": len(reports),
        "matcher": reports[0].matcher,
        "consistency": {
            name: _mean(getattr(frame, name) for frame in frames)
            for name in ("matches", "precision", "matching_score", "median_distance")
        },
        "camera_fidelity": fidelity_summary([report.fidelity for report in reports]),
        "identical_mse": _mean(pair.mse for report in reports for pair in report.identical),
    }
    starters = [report.starter for report in reports if report.starter is not None]
    if starters:
        colours = [starter.colours for starter in starters if starter.colours is not None]
        measures["starter"] = {
            "score": _mean(starter_score(starter.frames) for starter in starters),
            "objects": _mean(frame.objects for starter in starters for frame in starter.frames),
            "matches": _mean(frame.matches for starter in starters for frame in starter.frames),
            "colours_right": _mean(float(named.right) for named in colours),
            "camera_fidelity": fidelity_summary([each.fidelity for each in starters if each.fidelity is not None]),
        }
    if any(report.clip_frame is not None for report in reports):
        measures["clip"] = {
            "text": _mean(report.clip_text for report in reports if report.clip_text is not None),
            "frame": _mean(report.clip_frame for report in reports if report.clip_frame is not None),
        }
    return without_nan(measures)


def details(report: TakeReport) -> dict[str, Any]:
    """The measures of one take, in total and frame by frame, in JSON's types."""
    document: dict[str, Any] = {
        "name": report.name,
        "prompt": report.prompt,
        "frame_numbers": report.frame_numbers,
        **summary([report]),
    }
    document["consistency"]["frames"] = [asdict(frame) for frame in report.consistency]
    document["camera_fidelity"]["poses"] = [asdict(error) for error in report.fidelity.errors]
    document["identical_views"] = [asdict(pair) for pair in report.identical]
    if report.starter is not None:
        document["starter"]["frames"] = [asdict(frame) | {"score": frame.score} for frame in report.starter.frames]
        if report.starter.fidelity is not None:
            document["starter"]["camera_fidelity"]["poses"] = [asdict(each) for each in report.starter.fidelity.errors]
        if report.starter.colours is not None:
            document["starter"]["colours"] = asdict(report.starter.colours)
    return without_nan(document)


def fidelity_summary(parts: Sequence[CameraFidelity]) -> dict[str, Any]:
    """The pose errors of several takes together, in JSON's types except for NaN and infinity."""
    together = CameraFidelity([error for part in parts for error in part.errors], sum(part.skipped for part in parts))
    (rotation, translation), (rotation_auc, translation_auc) = together.median(), together.auc()
    return {
        "poses": len(together.errors),
        "skipped": together.skipped,
        "failed": together.failed,
        "median_rotation": rotation,
        "median_translation": translation,
        "rotation_auc": {f"{degrees:g}": area for degrees, area in zip(AUC_DEGREES, rotation_auc, strict=True)},
        "translation_auc": {f"{degrees:g}": area for degrees, area in zip(AUC_DEGREES, translation_auc, strict=True)},
    }


def _mean(values: Iterable[float]) -> float:
    """The mean of all values that are not NaN; NaN if there is none."""
    numbers = [value for value in values if not math.isnan(value)]
    return float(np.mean(numbers)) if numbers else math.nan


def without_nan(value: Any) -> Any:
    """The value with None in place of NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {name: without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _record(folder: Path) -> TakeRecord | None:
    """A take's record; None for frames from elsewhere, which have none.

    Raises:
        RequestError: a take.json that is not ours, or broken.
    """
    if not (folder / TAKE_FILE).exists():
        return None
    try:
        return read_record(folder)
    except TakeError as error:
        raise RequestError(error.message, error.hint) from None
