"""A picture of a take's measures: heat strips over frames and pairs of views, and the worst frame with its matches."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from protocol.geometry import frame_indices

from ..errors import RequestError
from ..starter.world import PALETTE
from .consistency import CORRECT_WITHIN, FrameConsistency, PairGeometry, ViewMatches, cross_view_distances, homogeneous
from .matching import Points
from .report import Evidence, Take, TakeReport
from .starter.objects import Region
from .starter.score import StarterFrame

Array = NDArray[np.float64]

MOST_LINES = 60
"""Largest number of matches that are drawn in one frame; they are picked evenly."""

RIGHT, WRONG = "#0fb89a", "#f0502a"

WIDTH, LEFT, SPACE, ROW = 9.0, 0.9, 0.55, 0.32
"""Inches: width of the panels, width of the labels beside them, height of a title, height of a strip's row."""

CHARACTERS_PER_INCH = 15
"""Number of a caption's characters per inch, at the captions' font size."""

GAP = 0.03
"""Space between two images, as a share of their width."""


def draw_report(path: str | Path, report: TakeReport, evidence: Evidence) -> None:
    """Writes the picture as a PNG.

    Raises:
        RequestError: the take has a single view, so there are no pairs to show.
    """
    if not report.consistency:
        raise RequestError("A single view has no consistency to draw.", "Evaluate a take of two or more views.")
    starter, objects = report.starter, evidence.objects
    panels = 1 if starter is None else 2
    strip = ROW * len({frame.views for frame in report.consistency}) + 0.25
    images = WIDTH / (2 + GAP) * evidence.take.cameras.height / evidence.take.cameras.width
    figure, axes = _stacked_axes([strip] * panels + [images] * panels, _title(report))
    precisions = [frame.precision for frame in report.consistency]
    numbers = evidence.take.frame_numbers
    _draw_strip(axes[0], report.consistency, precisions, numbers, "Matches that lie on their epipolar line, %")
    worst = min(report.consistency, key=lambda frame: (frame.precision, frame.matches))
    found = next(each for each in evidence.matched if (each.views, each.frame) == (worst.views, worst.frame))
    _draw_matches(axes[panels], evidence.take, worst, found)
    if starter is not None and objects is not None:
        scores = [frame.score for frame in starter.frames]
        _draw_strip(axes[1], starter.frames, scores, numbers, "Starter score: objects where the cameras allow, %")
        shown = [frame for frame in starter.frames if not np.isnan(frame.score)] or starter.frames
        _draw_objects(axes[3], evidence.take, min(shown, key=lambda frame: frame.score), objects)
    figure.savefig(path, dpi=110)


def _stacked_axes(heights: Sequence[float], title: str) -> tuple[Figure, list[Axes]]:
    """Panels of the given heights in inches, one below the other."""
    width, height = LEFT + WIDTH + 0.2, sum(heights) + SPACE * (len(heights) + 1) + 0.35
    figure = Figure(figsize=(width, height))
    figure.text(0.2 / width, 1 - 0.15 / height, title, fontsize=12, va="top")
    axes, top = [], height - 0.35
    for panel in heights:
        top -= SPACE + panel
        axes.append(figure.add_axes((LEFT / width, top / height, WIDTH / width, panel / height)))
    return figure, axes


def _title(report: TakeReport) -> str:
    prompt = f": {report.prompt}" if report.prompt else ""
    return f"{Path(report.name).name}{prompt}"


def _draw_strip(
    axes: Axes,
    frames: Sequence[FrameConsistency | StarterFrame],
    values: Sequence[float],
    numbers: Sequence[int],
    title: str,
) -> None:
    """Draws one row for each pair of views and one column for each frame. Values are in [0, 1]; NaN is grey."""
    pairs = sorted({frame.views for frame in frames})
    table = np.full((len(pairs), len(numbers)), np.nan)
    for frame, value in zip(frames, values, strict=True):
        table[pairs.index(frame.views), frame.frame] = value
    axes.set_facecolor("#d0d0d0")
    axes.imshow(table, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for row, column in np.argwhere(~np.isnan(table)):
        colour = "white" if table[row, column] < 0.55 else "black"
        axes.text(column, row, f"{100 * table[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=8)
    mean = "nothing to measure" if np.isnan(table).all() else f"{100 * np.nanmean(table):.0f} on average"
    axes.set_title(f"{title}: {mean}", loc="left", fontsize=10)
    axes.set_yticks(range(len(pairs)), [f"views {a}, {b}" for a, b in pairs], fontsize=8)
    axes.set_xticks(range(len(numbers)), [str(number) for number in numbers], fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _draw_matches(axes: Axes, take: Take, worst: FrameConsistency, found: ViewMatches) -> None:
    """Draws the two images of a frame side by side, with lines between matched points."""
    offset = _draw_pair(axes, take, worst.views, worst.frame)
    distance, _ = cross_view_distances(take.cameras, found)
    correct = distance <= CORRECT_WITHIN * max(take.cameras.height, take.cameras.width)
    picked = np.unique(np.linspace(0, max(len(correct) - 1, 0), MOST_LINES).round().astype(int))[: len(correct)]
    for kind, colour in ((False, WRONG), (True, RIGHT)):
        kept = picked[correct[picked] == kind]
        x, y = found.matches.x[kept], found.matches.y[kept] + [offset, 0]
        axes.add_collection(LineCollection(list(np.stack([x, y], 1)), colors=colour, linewidths=0.9, alpha=0.8))
        columns, rows = np.concatenate([x, y]).T
        axes.scatter(columns, rows, s=9, color=colour, linewidths=0)
    title = f"Worst matches, {_where(take, worst)}: {correct.sum()} of {len(correct)} matches on their epipolar line"
    if len(correct):
        title += f" (teal), median {worst.median_distance:.1f} pixels away"
    axes.set_title(title, loc="left", fontsize=10)


def _draw_objects(axes: Axes, take: Take, worst: StarterFrame, objects: Sequence[Sequence[Sequence[Region]]]) -> None:
    """Draws the two images of a frame side by side, with each object's outline and its expected place in the other."""
    offset = _draw_pair(axes, take, worst.views, worst.frame)
    geometry = PairGeometry.of(take.cameras, worst.views, worst.frame)
    first, second = (objects[view][worst.frame] for view in worst.views)
    for regions, here, there, towards in (
        (first, 0.0, offset, geometry),
        (second, offset, 0.0, geometry.reverse),
    ):
        for region in regions:
            height, width = region.mask.shape
            colour = PALETTE[region.colour]
            grid_x, grid_y = np.arange(width) + 0.5 + here, np.arange(height) + 0.5
            axes.contour(grid_x, grid_y, region.mask, levels=[0.5], colors="white", linewidths=1.5)
            axes.plot(region.centroid[0] + here, region.centroid[1], "o", color=colour, mec="white", ms=8)
            if not region.cut:
                expected = _expected(towards, region.centroid, height, width) + [there, 0]
                for pen, ink in ((3.5, "white"), (2.0, colour)):
                    axes.plot(*expected.T, "P" if towards.degenerate else "-", color=ink, ms=4 + 2 * pen, linewidth=pen)
    axes.set_title(
        f"Worst objects, {_where(take, worst)}: score {worst.score:.2f}. Dots: centroids; "
        f"{'crosses' if geometry.degenerate else 'lines'}: where the other view's may lie",
        loc="left",
        fontsize=10,
    )


def _where(take: Take, frame: FrameConsistency | StarterFrame) -> str:
    return f"frame {take.frame_numbers[frame.frame]} of views {frame.views[0]} and {frame.views[1]}"


def _draw_pair(axes: Axes, take: Take, views: tuple[int, int], frame: int) -> float:
    """Draws two views' images side by side in pixel coordinates, and returns the x at which the second begins."""
    height, width = take.videos.shape[2:4]
    offset = width * (1 + GAP)
    for view, left in zip(views, (0.0, offset), strict=True):
        axes.imshow(take.videos[view, frame], extent=(left, left + width, height, 0), interpolation="bicubic")
        axes.text(left + 0.01 * width, 0.99 * height, f"view {view}", color="white", fontsize=9, va="bottom")
    axes.set(xlim=(0, offset + width), ylim=(height, 0), aspect="equal")
    axes.axis("off")
    return offset


def _expected(geometry: PairGeometry, point: Points, height: int, width: int) -> Array:
    """Where a point may be in the other image: (2, 2) ends of its epipolar line, or the point (1, 2); NaN: outside."""
    image = homogeneous(point[None])[0] @ geometry.matrix.T
    if geometry.degenerate:
        mapped = image[:2] / image[2]
        return mapped[None] if 0 <= mapped[0] <= width and 0 <= mapped[1] <= height else np.full((1, 2), np.nan)
    a, b, c = image
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.array(
            [
                [0.0, -c / b],
                [width, -(a * width + c) / b],
                [-c / a, 0.0],
                [-(b * height + c) / a, height],
            ]
        )
    inside = (ends >= -1e-9).all(1) & (ends[:, 0] <= width + 1e-9) & (ends[:, 1] <= height + 1e-9)
    return ends[inside][:2] if inside.sum() >= 2 else np.full((1, 2), np.nan)


def draw_contact_sheet(path: str | Path, takes: Sequence[Take], columns: int = 2, frames: int = 4) -> None:
    """Writes a PNG with evenly spread frames of every take: the prompt, and one row of frames for each view."""
    rows, views = -(-len(takes) // columns), max(take.cameras.views for take in takes)
    tile, text, gap = 0.85, 0.42, 0.25
    block = frames * tile, views * tile + text
    figure = Figure(figsize=(columns * (block[0] + gap) + gap, rows * block[1] + gap))
    width, height = figure.get_size_inches()
    for number, take in enumerate(takes):
        row, column = divmod(number, columns)
        left, top = gap + column * (block[0] + gap), height - row * block[1] - text
        caption = textwrap.fill(f"{number + 1}. {take.prompt}", int(CHARACTERS_PER_INCH * block[0]))
        figure.text(left / width, (top + 0.06) / height, caption, fontsize=7.5)
        picked = frame_indices(take.cameras.frames, frames)
        strip = np.concatenate([np.concatenate(list(video[picked]), axis=1) for video in take.videos])
        extent = (left / width, (top - views * tile) / height, block[0] / width, views * tile / height)
        axes = figure.add_axes(extent)
        axes.imshow(strip, interpolation="bicubic", aspect="auto")
        axes.axis("off")
    figure.savefig(path, dpi=160)
