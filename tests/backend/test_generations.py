"""What a real service makes of a request: all of the request, and nothing else."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from support.cameras import parting_cameras

from backend.generation import encode_png
from cvd.cameras import Cameras
from cvd.evaluation.report import load_take
from cvd.family import VideoModel
from cvd.request import Request
from cvd.takes.export import to_uint8
from cvd.takes.takes import read_take
from cvd.weights.registry import Registry
from protocol.client import Client
from protocol.messages import Done, Failed, FetchResult, JobPreview, JobProgress, ViewFrames
from protocol.payloads import pack_submit, unpack_view
from protocol.settings import SETTINGS, SamplingSettings
from protocol.takes import read_record

from .conftest import FRAMES, HEIGHT, WIDTH, Job, RunningService, Views, generate, make_job, outcome, submit, until

CAMERAS = parting_cameras(2, FRAMES, WIDTH, HEIGHT)
BASE = {"multistep": 2, "accumulate_step": 2, "guidance_scale": 5.0, "negative_prompt": "fog"}


@pytest.fixture(scope="module")
def registry(models_folder: Path) -> Registry:
    return Registry(models_folder)


@pytest.fixture(scope="module")
def model(registry: Registry) -> VideoModel:
    return registry.load(registry.find("tiny"))


@pytest.fixture(scope="module")
def base(service: RunningService) -> Views:
    """The views of the request that the tests change one field of."""
    with service.client() as client:
        return generate(client, make_job(**BASE))


@pytest.mark.slow
def test_a_generation_from_submission_to_frames(client: Client, registry: Registry) -> None:
    job = make_job(seed=3)
    job_id = submit(client, job)
    received = until(client, lambda m: isinstance(m, Done | Failed))

    kinds = [type(message) for message, _ in received]
    assert kinds.count(ViewFrames) == 2
    assert kinds[-1] is Done
    assert all(message.job_id == job_id and message.reply_to == job[0].id for message, _ in received)

    steps = [message for message, _ in received if isinstance(message, JobProgress)]
    stages = list(dict.fromkeys(message.stage for message in steps))
    assert [stage for stage in stages if stage != "loading"] == ["encoding", "denoising", "decoding", "saving"]
    calls = [message for message in steps if message.stage == "denoising"]
    assert [message.step for message in calls] == list(range(1, calls[0].of + 1))
    assert all(message.seconds_left is not None for message in calls)

    done = received[-1][0]
    assert done.seconds > 0
    assert done.made.settings == SamplingSettings(
        seed=3, num_inference_steps=3, guidance_scale=5.0, scheduler="ddim", multistep=1, accumulate_step=1
    )
    assert done.made.model == registry.reference(registry.find("tiny"))
    assert done.made.warnings == ()


def test_a_model_with_a_map_for_it_shows_what_it_predicts(client: Client) -> None:
    job_id = submit(client, make_job(model="other"))
    received = until(client, lambda m: isinstance(m, Done))
    previews = [part for part in received if isinstance(part[0], JobPreview)]
    assert previews
    message, buffers = previews[0]
    assert (message.job_id, message.step, message.of) == (job_id, 1, 3)
    pictures = [iio.imread(buffer) for buffer in buffers]
    assert [picture.shape for picture in pictures] == [(HEIGHT // 8, WIDTH // 8, 3)] * 2
    assert np.ptp(pictures[1]) > 0


@pytest.mark.slow
def test_the_service_makes_what_the_library_makes(client: Client, model: VideoModel) -> None:
    fields = {"seed": 7, "num_inference_steps": 3, **BASE}
    negative_prompt = fields.pop("negative_prompt")
    request = Request(
        "a red cube", Cameras(*CAMERAS, HEIGHT, WIDTH), negative_prompt, settings=SamplingSettings(**fields)
    )
    expected = model.generate(request)

    submit(client, make_job(seed=7, **BASE))
    views = [part for part in until(client, lambda m: isinstance(m, Done)) if isinstance(part[0], ViewFrames)]
    assert [message.view for message, _ in views] == [0, 1]
    for message, buffers in views:
        images, latents = unpack_view(message, buffers)
        assert images == [encode_png(image) for image in to_uint8(expected.videos[message.view])]
        np.testing.assert_array_equal(latents, expected.latents[message.view])
        assert [buffer.shape for buffer in message.buffers[:-1]] == [(HEIGHT, WIDTH, 3)] * FRAMES


def test_the_same_request_gives_the_same_bytes(client: Client, base: Views) -> None:
    assert generate(client, make_job(**BASE)) == base


OTHER_SETTINGS = {
    "seed": 9,
    "num_inference_steps": 4,
    "guidance_scale": 9.0,
    "scheduler": "euler",
    "multistep": 3,
    "accumulate_step": 3,
}


def other_cameras() -> Job:
    c2w, K = CAMERAS
    return pack_submit(make_job(**BASE)[0].request, c2w * [*[[1, 1, 1, 1.5]] * 3, [1, 1, 1, 1]], K)


def other_lens() -> Job:
    c2w, K = CAMERAS
    return pack_submit(make_job(**BASE)[0].request, c2w, K * [[2.0, 1, 1], [1, 2, 1], [1, 1, 1]])


OTHERS = {
    **{name: make_job(**BASE | {name: value}) for name, value in OTHER_SETTINGS.items()},
    "prompt": make_job(**BASE, prompt="a green sphere"),
    "negative_prompt": make_job(**BASE | {"negative_prompt": "a sunny day"}),
    "model": make_job(**BASE, model="other"),
    "width": make_job(**BASE, width=WIDTH + 8),
    "height": make_job(**BASE, height=HEIGHT + 8),
    "frames": make_job(**BASE, frames=FRAMES + 1),
    "cameras": other_cameras(),
    "lens": other_lens(),
}


def test_every_setting_is_tried() -> None:
    assert {setting.name for setting in SETTINGS} == set(OTHER_SETTINGS)


@pytest.mark.parametrize("changed", OTHERS)
def test_every_part_of_a_request_reaches_the_model(client: Client, base: Views, changed: str) -> None:
    views = generate(client, OTHERS[changed])
    for view, (*images, latents) in views.items():
        *usual_images, usual_latents = base[view]
        assert images != usual_images
        assert latents != usual_latents


def test_what_the_model_does_not_read_of_a_prompt_is_told_once(client: Client) -> None:
    submit(client, make_job(prompt="a red cube " * 40 + "and a zeppelin"))
    received = until(client, lambda m: isinstance(m, Done | Failed))
    [warning] = [message.warning for message, _ in received if isinstance(message, JobProgress) and message.warning]
    assert warning.endswith('zeppelin".')
    assert received[-1][0].made.warnings == (warning,)

    submit(client, make_job(prompt="a red cube"))
    received = until(client, lambda m: isinstance(m, Done | Failed))
    assert not any(message.warning for message, _ in received if isinstance(message, JobProgress))


def test_a_finished_job_is_a_take_and_can_be_fetched(service: RunningService, client: Client) -> None:
    job = make_job(seed=4, scale=0.5)
    job_id = submit(client, job)
    done, views = outcome(client, job_id)

    (folder,) = service.connection_file.with_name("jobs").glob(f"*-{job_id}")
    record = read_record(folder)
    request = job[0].request
    assert (record.prompt, record.view_names, record.scale) == (request.prompt, request.view_names, request.scale)
    assert (record.settings, record.model) == (done.made.settings, done.made.model)
    assert record.seconds == pytest.approx(done.seconds)
    assert record.job_id == job_id
    assert all((folder / file).is_file() for file in record.files)
    assert len(record.files) == 2 * (FRAMES + 1)
    take = read_take(folder)
    assert take.output.videos.shape == (2, FRAMES, HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(take.cameras.c2w, CAMERAS[0])
    assert load_take(folder).videos.shape == (2, FRAMES, HEIGHT, WIDTH, 3)

    client.send(FetchResult(job_id=job_id))
    again, kept = outcome(client, job_id)
    assert (again.made, again.seconds, kept) == (done.made, done.seconds, views)
    for view, buffers in kept.items():
        assert buffers[-1] == take.output.latents[view].tobytes()


def test_models_are_described_whole_and_the_starter_comes_first(client: Client, registry: Registry) -> None:
    models = client.wait_welcome().models
    assert models == registry.infos()
    assert [model.name for model in models] == ["starter", "damaged", "other", "tiny"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model": "nobody"}, "nobody"),
        ({"num_inference_steps": 400}, "DDIM"),
        ({"model": "starter", "width": 40, "height": 40, "frames": 1}, "40 x 40"),
    ],
)
def test_what_the_model_cannot_do_is_refused_in_the_librarys_words(
    client: Client, fields: dict[str, object], reason: str
) -> None:
    last, _ = outcome(client, submit(client, make_job(**fields)))
    assert isinstance(last, Failed)
    assert last.error.code == "request"
    assert reason in last.error.message
    assert last.error.hint
