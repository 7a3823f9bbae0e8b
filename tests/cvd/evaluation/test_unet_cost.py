import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from cvd.errors import RequestError
from cvd.evaluation.unet_cost import UNCOUNTED, compare


def test_costs_of_both_are_measured_on_one_batch() -> None:
    config = {
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "cross_attention_levels": 1,
        "cross_attention_dim": 16,
        "num_attention_heads": 2,
        "motion_num_attention_heads": 2,
        "norm_num_groups": 8,
    }
    result = compare(config, views=3, frames=4, size=64, repeats=2, dtype=torch.float32)
    assert len(result.ours.seconds) == len(result.animatediff.seconds) == 2
    assert min(result.ours.seconds + result.animatediff.seconds) > 0
    assert result.time_ratio > 0
    # Only the epipolar modules and the merge layers are additional.
    assert 1.1 < result.ours.flops / result.animatediff.flops < 2.5


@pytest.mark.slow
def test_flops_grow_with_the_batch() -> None:
    config = {"block_out_channels": (16, 32), "layers_per_block": 1, "cross_attention_levels": 1, "norm_num_groups": 8}
    config |= {"cross_attention_dim": 16, "num_attention_heads": 2, "motion_num_attention_heads": 2}
    two, four = (compare(config, views=views, frames=4, size=32, repeats=1).ours.flops for views in (2, 4))
    assert 1.9 < four / two < 2.1


def test_attention_is_counted() -> None:
    query = torch.randn(1, 2, 64, 8)
    with FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter:
        scaled_dot_product_attention(query, query, query, attn_mask=torch.zeros(64, 64))
    assert counter.get_total_flops() == 2 * (2 * 2 * 64 * 64 * 8)


@pytest.mark.parametrize("batch", [{"frames": 20}, {"repeats": 0}, {"views": 0}, {"size": 68}, {"device": "cuda:63"}])
def test_what_cannot_be_measured(batch: dict) -> None:
    with pytest.raises(RequestError):
        compare({"block_out_channels": (16, 32)}, **batch)
