"""Draws the pictures of docs/cvd.md from the package's own results: `python docs/make_cvd_pictures.py`.

It needs no weights, and it writes the same pictures every time.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle
from matplotlib.path import Path as BezierPath
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cvd.cameras import Cameras  # noqa: E402
from cvd.cameras.patterns import pattern_cameras  # noqa: E402
from cvd.conditioning.epipolar import EpipolarBias, pixel_grid  # noqa: E402
from cvd.conditioning.plucker import plucker_maps  # noqa: E402
from cvd.models.unet import CollaborativeUNet  # noqa: E402
from cvd.sampling.denoise import Anchors, denoise, make_solver, marginal, official_scheduler  # noqa: E402
from cvd.sampling.draws import Draws  # noqa: E402
from cvd.sampling.windows import blend_weights, shared_noise, window_starts  # noqa: E402
from cvd.starter.render import render  # noqa: E402
from cvd.starter.world import Ground, Scene, Solid, ground_from_camera  # noqa: E402
from protocol.geometry import PATTERNS  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDTH = 9.0
DPI = 200
"""The pictures are 1800 pixels wide; the page shows 900."""

INK, DIM, GREY, FAINT = "#22313f", "#5b6b79", "#8795a1", "#e9edf1"
VIEWS = ("#2f6fb0", "#d9822b", "#3a9a6e", "#8a5aa8", "#c0504d")
SIGNED = "RdBu_r"
RESNET, SPATIAL, MOTION, EPIPOLAR = "#b9c4cf", "#7d92a7", VIEWS[0], VIEWS[1]

SIZE, FEATURES = 256, 32
"""Width and height of the videos and of the finest feature map, in pixels."""

SCENE = Scene(
    (
        Solid("cube", "red", -0.22, 1.05, 0.34, 0.8),
        Solid("sphere", "yellow", 0.24, 1.0, 0.30),
    ),
    Ground("green", "checkered"),
)
"""The scene in the pictures."""


def new_picture(height: float) -> Figure:
    """An empty picture of the page's width. `height` is in inches."""
    return Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white", layout="constrained")


def save(name: str, drawn: Figure, colours: int | None = None) -> None:
    """Writes docs/images/cvd-<name>.png. With `colours`, the picture gets a palette of that many colours."""
    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    if colours is not None:
        image = image.quantize(colours, dither=Image.Dither.NONE)
    path = IMAGES / f"cvd-{name}.png"
    image.save(path, optimize=True)
    print(f"{path.stat().st_size / 1e3:.0f} kB {path.name}")


def videos(cameras: Cameras, frames: Sequence[int], size: int) -> np.ndarray:
    """Videos of the scene, (V, len(frames), size, size, 3) uint8."""
    c2w = cameras.c2w[:, frames].reshape(-1, 4, 4)
    return render([SCENE] * len(c2w), c2w, size, size).reshape(cameras.views, len(frames), size, size, 3)


def unet() -> None:
    """The U-Net's blocks with their layers, counted in the official network, and the modules of one layer."""
    with torch.device("meta"):
        network = CollaborativeUNet()
    assert sum(1 for _ in network.collaborative_modules()) == 20
    drawn = new_picture(5.0)
    left, right = drawn.subplots(1, 2, gridspec_kw={"width_ratios": [1.2, 1]})
    blocks = [*network.down_blocks, network.mid_block, *network.up_blocks]
    levels = len(network.down_blocks)
    for index, block in enumerate(blocks):
        level = min(index, 2 * levels - index)
        x, y = (0.0 if index < levels else 3.6 if index > levels else 1.8), -1.25 * level
        with_motion = bool(getattr(block, "motion_modules", []))
        colours = [RESNET, *[SPATIAL] * bool(getattr(block, "attentions", [])), *[MOTION, EPIPOLAR] * with_motion]
        _draw_block(left, x, y, colours, len(block.resnets) if with_motion else 1)
        if index < levels:
            side, channels = FEATURES >> level, network.config.block_out_channels[level]
            left.text(2.8, y + 0.47, f"{side} x {side}\n{channels} wide", ha="center", va="bottom", fontsize=9)
            _arrow(left, (2.05, y + 0.4), (3.55, y + 0.4), GREY, "--")
        if index + 1 < levels:
            _arrow(left, (1.0, y - 0.03), (1.0, y - 0.43), INK)
            _arrow(left, (4.6, y - 0.43), (4.6, y - 0.03), INK)
    bottom = -1.25 * (levels - 1)
    _arrow(left, (1.0, bottom - 0.03), (1.75, bottom - 0.85), INK)
    _arrow(left, (3.85, bottom - 0.85), (4.6, bottom - 0.03), INK)
    left.set(xlim=(-0.1, 5.7), ylim=(-5.2, 1.0))
    left.set_aspect("equal")
    left.set_title("one U-Net for all views and frames", fontsize=10.5)
    names = ("residual block", "spatial transformer", "motion module", "epipolar module")
    handles = [Patch(color=c, label=name) for c, name in zip((RESNET, SPATIAL, MOTION, EPIPOLAR), names, strict=True)]
    left.legend(handles=handles, loc="upper center", ncols=2, frameon=False, fontsize=9, bbox_to_anchor=(0.5, 0.03))
    _draw_layer(right)
    for axes in (left, right):
        axes.set_axis_off()
    save("unet", drawn, colours=64)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, style: str = "-") -> None:
    arrow = {"arrowstyle": "-|>", "mutation_scale": 10, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(start, end, color=colour, linestyle=style, **arrow))


def _draw_block(axes: Axes, x: float, y: float, colours: Sequence[str], layers: int) -> None:
    """Draws a block. Each row is a layer, with its modules from left to right."""
    height = 0.8 / layers
    for row in range(layers):
        for column, colour in enumerate(colours):
            corner = (x + 2.0 * column / len(colours), y + 0.8 - (row + 1) * height)
            axes.add_patch(Rectangle(corner, 2.0 / len(colours) - 0.05, height - 0.06, color=colour, linewidth=0))


def _draw_layer(axes: Axes) -> None:
    """Draws the modules of a layer below each other, with their conditioning and what a pixel attends to."""
    rows = (
        ("residual block", RESNET, INK, "time step", "convolutions\nwithin a frame"),
        ("spatial transformer", SPATIAL, "white", "text", "a pixel attends to\nthe pixels of its frame"),
        ("motion module", MOTION, "white", "camera\nfeatures", "a pixel attends to\nits place in all frames"),
        ("epipolar module", EPIPOLAR, "white", "partner,\nbias", "a pixel attends to the\npartner's same frame"),
    )
    axes.text(0.95, 4.85, "(branches x views x frames, C, h, w)", ha="center", fontsize=9)
    for row, (name, colour, ink, condition, reach) in enumerate(rows):
        y = 3.6 - 1.2 * row
        box = FancyBboxPatch((0, y), 1.9, 0.62, boxstyle="round,pad=0,rounding_size=0.08", color=colour, linewidth=0)
        axes.add_patch(box)
        axes.text(0.95, y + 0.31, name, ha="center", va="center", color=ink, fontsize=9.5)
        _arrow(axes, (0.95, y + 1.15), (0.95, y + 0.65), INK)
        _arrow(axes, (-0.35, y + 0.31), (-0.03, y + 0.31), INK)
        axes.text(-0.42, y + 0.31, condition, ha="right", va="center", fontsize=9)
        axes.text(2.0, y + 0.31, reach, ha="left", va="center", color=DIM, fontsize=9)
    _arrow(axes, (0.95, -0.05), (0.95, -0.55), INK)
    axes.set(xlim=(-1.2, 3.7), ylim=(-0.6, 5.1))
    axes.set_title("one layer", fontsize=10.5)


def plucker() -> None:
    """The six channels of the Pluecker map of a camera that moves to the right and turns back."""
    cameras, frames = pattern_cameras("circle", 2, SIZE, SIZE), (0, 7, 15)
    maps = plucker_maps(cameras)[0, list(frames)]
    drawn = new_picture(5.0)
    grid = drawn.subplots(3, 6)
    names = ("x", "y", "z")
    for row, frame in enumerate(frames):
        for channel, axes in enumerate(grid[row]):
            limit = 0.5 if channel < 3 else 1.0
            shown = axes.imshow(maps[row, channel], cmap=SIGNED, vmin=-limit, vmax=limit)
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set_color(GREY)
            if row == 0:
                title = f"{'(o x d)' if channel < 3 else 'd'}$_{names[channel % 3]}$"
                axes.set_title(title, fontsize=10.5)
            if row == 2 and channel in (2, 5):
                under = grid[:, channel - 2 : channel + 1]
                bar = drawn.colorbar(shown, ax=under, location="bottom", aspect=40, pad=0.02)
                bar.ax.tick_params(labelsize=9, colors=INK)
                bar.outline.set_edgecolor(GREY)
        grid[row, 0].set_ylabel(f"frame {frame}", fontsize=10.5)
    save("plucker", drawn)


def _weights(bias: EpipolarBias, query: int, key: int, slope: float, frame: int, pixel: int) -> np.ndarray:
    """exp(bias) of a query pixel for all key pixels, (FEATURES, FEATURES): the factors on the attention weights."""
    row = bias.pair(query, key, FEATURES, FEATURES, slope)[frame, pixel]
    return row.exp().unflatten(0, (FEATURES, FEATURES)).numpy()


def _shaded(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The image with full colour where the weight is 1, and pale where it is 0."""
    factor = np.kron(weights, np.ones((SIZE // FEATURES, SIZE // FEATURES)))[..., None]
    image = image / 255
    pale = 0.25 * image.mean(-1, keepdims=True) + 0.72
    return factor * image + (1 - factor) * pale


def _nearest_corner(solid: Solid) -> np.ndarray:
    """The upper corner of a cube that is nearest to the first camera, in that camera's coordinates."""
    sides = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * solid.size / 2
    cos, sin = np.cos(solid.yaw), np.sin(solid.yaw)
    x, z = (sides @ [[cos, sin], [-sin, cos]]).T + [[solid.x], [solid.z]]
    ground = np.stack([x, np.full(4, solid.size), z, np.ones(4)])
    corners = (np.linalg.inv(ground_from_camera()) @ ground)[:3].T
    return corners[np.linalg.norm(corners, axis=1).argmin()]


def _projected(cameras: Cameras, view: int, frame: int) -> np.ndarray:
    """Pixel of the point that the pictures mark."""
    point = np.append(_nearest_corner(SCENE.solids[0]), 1)
    seen = cameras.K[view, frame] @ (np.linalg.inv(cameras.c2w[view, frame]) @ point)[:3]
    return seen[:2] / seen[2]


def _feature_pixel(position: np.ndarray) -> int:
    """Index of the feature map's pixel at a position in the full image."""
    column, row = (position // (SIZE / FEATURES)).astype(int)
    return int(row * FEATURES + column)


def _mark(axes: Axes, position: np.ndarray, marker: str, colour: str) -> None:
    axes.plot(*(position - 0.5), marker, color="white", markersize=11, markeredgewidth=4.5, fillstyle="none")
    axes.plot(*(position - 0.5), marker, color=colour, markersize=11, markeredgewidth=2.2, fillstyle="none")


def epipolar() -> None:
    """A query pixel of one view, and the factor on its attention to each pixel of another view."""
    cameras, frames = pattern_cameras("circle", 4, SIZE, SIZE), [0, 5, 10, 15]
    query, key = 0, 3
    images = videos(cameras, frames, SIZE)
    bias, slope = EpipolarBias(cameras, torch.float32, "cpu"), 0.64
    drawn = new_picture(4.9)
    grid = drawn.subplots(2, len(frames))
    for column, frame in enumerate(frames):
        positions = [_projected(cameras, view, frame) for view in (query, key)]
        pixel = _feature_pixel(positions[0])
        weights = _weights(bias, query, key, slope, frame, pixel)
        grid[0, column].imshow(images[query, column])
        grid[1, column].imshow(_shaded(images[key, column], weights))
        centre = pixel_grid(SIZE, SIZE, FEATURES, FEATURES)[pixel, :2] + 0.5
        _mark(grid[0, column], centre, "s", VIEWS[0])
        _mark(grid[1, column], positions[1], "o", VIEWS[1])
        kind = "pseudo-line" if frame == 0 else "epipolar line"
        grid[0, column].set_title(f"frame {frame}", fontsize=10.5)
        grid[1, column].set_xlabel(kind, fontsize=10.5)
    grid[0, 0].set_ylabel("query: view moving right", fontsize=10)
    grid[1, 0].set_ylabel("key: view moving up", fontsize=10)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    save("epipolar", drawn)


def pseudo_lines() -> None:
    """The bias by distance, and one query pixel's pseudo-lines in frame 0 of three U-Net calls."""
    cameras = pattern_cameras("circle", 4, SIZE, SIZE)
    image = videos(cameras, [0], SIZE)[0, 0]
    bias, draws = EpipolarBias(cameras, torch.float32, "cpu"), Draws(0, torch.device("cpu"))
    pixel = _feature_pixel(_projected(cameras, 0, 0))
    drawn = new_picture(2.75)
    curve, *grid = drawn.subplots(1, 4, gridspec_kw={"width_ratios": [1.25, 1, 1, 1]})
    distance = np.linspace(0, 4, 200)
    curve.plot(distance, np.exp(-3 * np.maximum(distance - 1, 0)), color=VIEWS[1], linewidth=2.2)
    curve.axvspan(0, 1, color=FAINT)
    curve.text(0.5, 0.5, "band", ha="center", fontsize=9.5)
    curve.set_xlabel("distance from the line, in bands", fontsize=9.5)
    curve.set_title("exp(bias)", fontsize=10.5)
    curve.set(xlim=(0, 4), ylim=(0, 1.05), xticks=range(5))
    curve.tick_params(labelsize=9, colors=INK)
    curve.spines[["top", "right"]].set_visible(False)
    for call, axes in enumerate(grid, 1):
        draws.partners(cameras.views, 0)
        slope = draws.slope()
        axes.imshow(_shaded(image, _weights(bias, 0, 3, slope, 0, pixel)))
        _mark(axes, pixel_grid(SIZE, SIZE, FEATURES, FEATURES)[pixel, :2] + 0.5, "o", VIEWS[1])
        axes.set_title(f"frame 0, call {call}", fontsize=10.5)
        axes.set_xlabel(f"normal at {slope:.2f} $\\pi$", fontsize=9.5)
        axes.set(xticks=[], yticks=[])
    save("pseudo-lines", drawn)


def _matching(axes: Axes, x: float, heights: Sequence[float], partners: Sequence[int], widths: Sequence[float]) -> None:
    """Draws arcs between partners. The arc of a view that is nobody's partner is dashed, with an arrow at that view.

    Args:
        widths: width of an arc, by the number of rows between the views.
    """
    for view, partner in enumerate(partners):
        mutual = partners[partner] == view
        if mutual and view > partner:
            continue
        ends = (x, heights[partner]), (x, heights[view])
        bend = x + widths[abs(view - partner)]
        path = BezierPath([ends[0], (bend, ends[0][1]), (bend, ends[1][1]), ends[1]], [1, 4, 4, 4])
        axes.add_patch(
            FancyArrowPatch(
                path=path,
                arrowstyle="-" if mutual else "-|>",
                linestyle="-" if mutual else (0, (2.5, 1.5)),
                color=INK,
                linewidth=1.3,
                mutation_scale=9,
            )
        )


def pairing() -> None:
    """Algorithm 1 over its U-Net calls: the noise level, and the pairings of four and of five views."""
    multistep, steps = 3, 5
    solver = make_solver("ddim", official_scheduler().config, steps)
    seen: list[int] = []

    def record(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        seen.append(solver.timesteps.tolist().index(int(timestep)))
        return torch.zeros_like(latents)

    denoise(torch.zeros(1, 1, 1, 1, 1), solver, record, lambda n: torch.zeros(1, 1, 1, 1, 1), multistep)
    levels = [float(marginal(solver, index)[1]) for index in range(steps)] + [0.0]
    drawn = new_picture(4.6)
    top, four, five = drawn.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": [1.2, 1, 1.25]})
    for call, index in enumerate(seen):
        _arrow(top, (call, levels[index]), (call + 0.5, levels[index + 1]), VIEWS[0])
        if call + 1 < len(seen) and seen[call + 1] == index:
            _arrow(top, (call + 0.5, levels[index + 1]), (call + 1, levels[index]), VIEWS[1])
        elif call + 1 < len(seen):
            top.plot([call + 0.5, call + 1], [levels[index + 1]] * 2, color=VIEWS[0], linewidth=1)
        top.plot(call, levels[index], "o", color=INK, markersize=5)
    top.set(ylim=(-0.08, 1.12), yticks=[0, 0.5, 1])
    top.set_ylabel("noise level", fontsize=10)
    handles = [Patch(color=VIEWS[0], label="denoise one step"), Patch(color=VIEWS[1], label="noise back")]
    top.legend(handles=handles, loc="lower left", frameon=False, fontsize=9)
    for axes, views in ((four, 4), (five, 5)):
        draws = Draws(0, torch.device("cpu"))
        for call in range(len(seen)):
            rows = [-view for view in range(views)]
            axes.scatter([call] * views, rows, s=45, c=VIEWS[:views], zorder=3)
            _matching(axes, call + 0.12, rows, draws.partners(views, 0), [0, 0.3, 0.5, 0.7, 0.85])
            draws.slope()
        axes.set(ylim=(-views + 0.4, 0.6), yticks=[-view for view in range(views)])
        axes.set_yticklabels([f"view {view}" for view in range(views)], fontsize=9)
    five.set(xlim=(-0.4, len(seen) - 0.1), xticks=range(len(seen)))
    five.set_xticklabels([str(call + 1) for call in range(len(seen))], fontsize=9)
    five.set_xlabel("U-Net call", fontsize=10)
    for axes in (top, four, five):
        axes.spines[["top", "right", "bottom"]].set_visible(axes is None)
        axes.spines["left"].set_visible(axes is top)
        axes.tick_params(length=0, colors=INK, labelsize=9)
        for call in range(1, len(seen)):
            if seen[call] != seen[call - 1]:
                axes.axvline(call - 0.22, color=FAINT, linewidth=1.5, zorder=0)
    save("pairing", drawn, colours=64)


def anchor() -> None:
    """A finished view and three new views. In place of the U-Net, a predictor is used that knows the clean images."""
    cameras, size, old = pattern_cameras("circle", 4, SIZE, SIZE), 48, 1
    clean = torch.from_numpy(videos(cameras, [15], size)).permute(0, 4, 1, 2, 3).float() / 127.5 - 1
    solver = make_solver("ddim", official_scheduler().config, 5)
    generator, draws = torch.Generator().manual_seed(0), Draws(0, torch.device("cpu"))
    seen: list[torch.Tensor] = []
    matchings: list[list[int]] = []

    def predict(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        seen.append(latents)
        matchings.append(draws.partners(len(clean), old))
        alpha, sigma = marginal(solver, solver.timesteps.tolist().index(int(timestep)))
        return (latents - alpha * clean) / sigma

    held = Anchors(clean[:old], torch.randn(clean[:old].shape, generator=generator))
    noise = torch.randn(clean.shape, generator=generator)
    final = denoise(noise, solver, predict, lambda n: noise, anchors=held)
    assert torch.equal(final[:old], clean[:old])
    drawn = new_picture(5.0)
    axes = drawn.subplots()
    pitch, rows = 1.42, [-1.12 * view for view in range(len(clean))]
    for column, latents in enumerate([*seen, final]):
        for view, row in enumerate(rows):
            tile = (latents[view, :, 0].permute(1, 2, 0) / 2 + 0.5).clamp(0, 1).numpy()
            corner = (pitch * column, row)
            extent = (corner[0], corner[0] + 1, row, row + 1)
            axes.imshow(tile, extent=extent, interpolation="nearest")
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=VIEWS[view], linewidth=2))
        title = f"t = {int(solver.timesteps[column])}" if column < len(seen) else "result"
        axes.text(pitch * column + 0.5, 1.1, title, ha="center", fontsize=10.5)
    for view, row in enumerate(rows):
        label = f"view {view}\n{'finished' if view < old else 'new'}"
        axes.text(-0.1, row + 0.5, label, ha="right", va="center", color=VIEWS[view], fontsize=10)
    for column, matching in enumerate(matchings):
        _matching(axes, pitch * column + 1.03, [row + 0.5 for row in rows], matching, [0, 0.2, 0.33, 0.42])
    axes.set(xlim=(-0.95, pitch * len(seen) + 1.05), ylim=(rows[-1] - 0.05, 1.35))
    axes.set_axis_off()
    save("anchor", drawn)


def windows() -> None:
    """Forty frames in windows of 16: their places, their blending weights, and the noise that they start from."""
    frames, length = 40, 16
    starts, weights = window_starts(frames, length), blend_weights(length)
    total = torch.zeros(frames)
    for start in starts:
        total[start : start + length] += weights
    indices = torch.arange(frames, dtype=torch.float32).view(1, 1, frames, 1, 1)
    origin = shared_noise(indices, length, torch.Generator().manual_seed(0)).flatten().int().numpy()
    drawn = new_picture(4.1)
    bars, shares, noise = drawn.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": [1.1, 1.1, 0.5]})
    for row, start in enumerate(starts):
        colour = VIEWS[row]
        bars.add_patch(Rectangle((start - 0.5, -row - 0.35), length, 0.7, color=colour, linewidth=0))
        middle = (start + length / 2 - 0.5, -row)
        bars.text(*middle, f"window {row + 1}", ha="center", va="center", color="white", fontsize=9.5)
        span = slice(start, start + length)
        shares.plot(range(frames)[span], (weights / total[span]).numpy(), color=colour, linewidth=2)
    bars.set(ylim=(-len(starts) + 0.4, 0.6), yticks=[])
    shares.set(ylim=(0, 1.08), yticks=[0, 0.5, 1])
    shares.set_ylabel("share", fontsize=10)
    tones = ListedColormap([(0.13 + 0.05 * i, 0.32 + 0.04 * i, 0.50 + 0.028 * i) for i in range(length)])
    noise.imshow(origin[None], cmap=tones, vmin=0, vmax=length - 1, aspect="auto", extent=(-0.5, frames - 0.5, 0, 1))
    for frame, source in enumerate(origin):
        noise.text(frame, 0.5, str(source), ha="center", va="center", fontsize=8.5, color="w" if source < 9 else INK)
    for start in range(length, frames, length // 2):
        noise.axvline(start - 0.5, color="white", linewidth=3)
    noise.set(yticks=[], xticks=range(0, frames, 8), xlim=(-0.7, frames - 0.3))
    noise.set_ylabel("noise", fontsize=10)
    noise.set_xlabel("frame", fontsize=10)
    for axes in (bars, shares, noise):
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, colors=INK, labelsize=9)
    save("windows", drawn, colours=64)


def patterns() -> None:
    """The official patterns with five views, seen from behind the common first camera."""
    drawn = new_picture(2.8)
    for axes, pattern in zip(drawn.subplots(1, 3), PATTERNS, strict=True):
        cameras = pattern_cameras(pattern, 5, SIZE, SIZE)
        for view, path in enumerate(cameras.c2w[..., :3, 3]):
            x, up = path[:, 0], -path[:, 1]
            axes.add_collection(LineCollection([np.stack([x, up], -1)], colors=VIEWS[view], linewidths=2.2))
            axes.plot(x[-1], up[-1], "o", color=VIEWS[view], markersize=8)
            away = 1 + 0.11 / np.hypot(x[-1], up[-1])
            axes.text(x[-1] * away, up[-1] * away, str(view), color=VIEWS[view], ha="center", va="center", fontsize=11)
        axes.plot(0, 0, "s", color=INK, markersize=6)
        axes.set_title(pattern, fontsize=10.5)
        axes.set(xlim=(-0.72, 0.72), ylim=(-0.68, 0.68))
        axes.set_aspect("equal")
        axes.set_axis_off()
    save("patterns", drawn, colours=64)


def main() -> None:
    """Draws all pictures."""
    torch.set_num_threads(1)
    rcParams.update(
        {
            "font.size": 10,
            "text.color": INK,
            "axes.edgecolor": GREY,
            "axes.labelcolor": INK,
            "mathtext.default": "regular",
        }
    )
    IMAGES.mkdir(exist_ok=True)
    for draw in (unet, plucker, epipolar, pseudo_lines, pairing, anchor, windows, patterns):
        draw()


if __name__ == "__main__":
    main()
