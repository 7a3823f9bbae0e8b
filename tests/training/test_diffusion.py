"""What the loss of the diffusion stages counts."""

import pytest
import torch

from cvd.sampling import official_scheduler
from cvd.training.diffusion import diffusion_loss

LATENTS = torch.randn(8, 4, 3, 2, 2, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layout", [False, True])
def test_a_velocity_counts_as_the_noise_it_implies(layout: bool) -> None:
    offset = 0.1 * torch.randn(LATENTS.shape, generator=torch.Generator().manual_seed(2))
    alphas = official_scheduler().alphas_cumprod

    def noise(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        kept = alphas[timesteps].view(-1, 1, 1, 1, 1)
        return (noisy - kept.sqrt() * LATENTS) / (1 - kept).sqrt() + offset

    def velocity(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        kept = alphas[timesteps].view(-1, 1, 1, 1, 1)
        return (noise(noisy, timesteps) - (1 - kept).sqrt() * noisy) / kept.sqrt()

    of_noise = diffusion_loss(official_scheduler(), LATENTS, noise, seed=3, layout=layout)
    of_velocity = diffusion_loss(official_scheduler("v_prediction"), LATENTS, velocity, seed=3, layout=layout)
    assert of_noise > 1e-3
    torch.testing.assert_close(of_velocity, of_noise, rtol=1e-3, atol=0)


def test_layouts_are_learned_where_there_is_most_noise() -> None:
    """The same error weighs more there, and such timesteps are drawn more often; views of a scene share theirs."""
    drawn: list[torch.Tensor] = []

    def useless(noisy: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        drawn.append(timesteps)
        return torch.zeros_like(noisy)

    scheduler = official_scheduler()
    losses = {
        layout: [diffusion_loss(scheduler, LATENTS, useless, seed, layout, together=2).item() for seed in range(40)]
        for layout in (False, True)
    }
    plain, layout = torch.stack(drawn[:40]), torch.stack(drawn[40:])
    assert layout.float().mean() > plain.float().mean() + 100
    assert torch.equal(layout[:, ::2], layout[:, 1::2])
    assert sum(losses[True]) > 3 * sum(losses[False])
