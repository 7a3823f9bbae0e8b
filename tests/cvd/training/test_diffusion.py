"""The weights in the loss of the diffusion stages."""

import pytest
import torch

from cvd.sampling.denoise import official_scheduler
from cvd.training.diffusion import diffusion_loss

LATENTS = torch.randn(8, 4, 3, 2, 2, generator=torch.Generator().manual_seed(1))


def test_a_velocity_counts_as_the_noise_it_implies() -> None:
    offset = 0.1 * torch.randn(LATENTS.shape, generator=torch.Generator().manual_seed(2))
    alphas = official_scheduler().alphas_cumprod

    def noise(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        kept = alphas[timesteps].view(-1, 1, 1, 1, 1)
        return (noisy - kept.sqrt() * LATENTS) / (1 - kept).sqrt() + offset

    def velocity(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        kept = alphas[timesteps].view(-1, 1, 1, 1, 1)
        return (noise(noisy, timesteps) - (1 - kept).sqrt() * noisy) / kept.sqrt()

    of_noise = diffusion_loss(official_scheduler(), LATENTS, noise, seed=3)
    of_velocity = diffusion_loss(official_scheduler("v_prediction"), LATENTS, velocity, seed=3)
    assert of_noise > 1e-3
    torch.testing.assert_close(of_velocity, of_noise, rtol=1e-3, atol=0)


def test_layouts_are_learned_where_there_is_most_noise() -> None:
    """Noisy timesteps have more weight and are drawn more often. Views of a scene share a timestep."""
    drawn: list[torch.Tensor] = []

    def off_by_one(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        kept = alphas[timesteps].view(-1, 1, 1, 1, 1)
        drawn.append(timesteps)
        return (noisy - kept.sqrt() * LATENTS[: len(noisy)]) / (1 - kept).sqrt() + 1

    scheduler = official_scheduler()
    alphas = scheduler.alphas_cumprod
    losses = [diffusion_loss(scheduler, LATENTS[:2], off_by_one, seed, views=2).item() for seed in range(60)]
    timesteps = torch.stack(drawn)
    assert torch.equal(timesteps[:, 0], timesteps[:, 1])
    assert timesteps.float().mean() > 600
    losses_by_noise = [loss for _, loss in sorted(zip(timesteps[:, 0].tolist(), losses, strict=True))]
    assert sum(losses_by_noise[-15:]) > 3 * sum(losses_by_noise[:15])


def test_latents_of_more_weight_count_more() -> None:
    offset, weight = torch.zeros_like(LATENTS), torch.ones(8, 1, 3, 2, 2)
    offset[..., 0, 0] = 1
    weight[..., 0, 0] = 4

    def loss(weight: torch.Tensor | None) -> float:
        def predict(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
            kept = alphas[timesteps].view(-1, 1, 1, 1, 1)
            return (noisy - kept.sqrt() * LATENTS) / (1 - kept).sqrt() + offset

        return diffusion_loss(scheduler, LATENTS, predict, seed=0, weight=weight).item()

    scheduler = official_scheduler()
    alphas = scheduler.alphas_cumprod
    # One of four latents is wrong. Its share of the weights is 1/4 without weights, and 4/7 with them.
    assert loss(weight) / loss(None) == pytest.approx((4 / 7) / (1 / 4), rel=1e-3)
