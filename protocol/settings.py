"""The settings of a generation: the one schema that every other list of them follows.

A request has a `SamplingSettings`, and `SETTINGS` describes its fields. The library's checks, the command line's
options, the panel's properties and the table in `docs/protocol.md` are made from it.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

SolverName = Literal["ddim", "dpmsolver++", "euler"]
SOLVERS: tuple[SolverName, ...] = get_args(SolverName)

MAX_SEED = 2**63 - 1


class SamplingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the sampling. None stands for the model's own value, or the value for the number of views."""

    seed: Annotated[
        int,
        Meta(ge=0, le=MAX_SEED, title="Seed", description="The same seed, settings and cameras give the same frames"),
    ] = 0
    num_inference_steps: (
        Annotated[
            int,
            Meta(ge=1, le=999, title="Steps", description="Number of denoising steps", extra={"usual": 100}),
        ]
        | None
    ) = None
    guidance_scale: (
        Annotated[
            float,
            Meta(
                ge=0, le=100, title="Guidance", description="How strictly to follow the prompt", extra={"usual": 20.0}
            ),
        ]
        | None
    ) = None
    scheduler: Annotated[SolverName, Meta(title="Scheduler", description="Solver of the denoising steps")] | None = None
    multistep: (
        Annotated[
            int,
            Meta(ge=1, le=64, title="Recurrences", description="Times that each step is repeated", extra={"usual": 8}),
        ]
        | None
    ) = None
    accumulate_step: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=64,
                title="Pairings per Recurrence",
                description="Pairings of the views that are averaged in each recurrence",
                extra={"usual": 4},
            ),
        ]
        | None
    ) = None


@dataclass(frozen=True)
class Setting:
    """One field of `SamplingSettings`.

    Args:
        name: name of the field.
        kind: type int, float, or str for a choice.
        title: short name for people, in title case.
        description: meaning of it, without a full stop.
        low, high: smallest and largest value of a number; 0 for a choice.
        usual: largest value that a slider offers.
        choices: values of a choice; empty for a number.
        default: default value; None if the model decides.
    """

    name: str
    kind: type
    title: str
    description: str
    low: float
    high: float
    usual: float
    choices: tuple[str, ...]
    default: Any

    @property
    def range_text(self) -> str:
        """The allowed values in words: "1 to 999", "ddim, dpmsolver++ or euler"."""
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        return f"{self.low} to {'2^63 - 1' if self.high == MAX_SEED else self.high}"

    def allows(self, value: Any) -> bool:
        """Whether a value is in the setting's range. None is allowed if the model can decide."""
        if value is None:
            return self.default is None
        if self.kind is str:
            return value in self.choices
        if not isinstance(value, numbers.Integral if self.kind is int else numbers.Real) or isinstance(value, bool):
            return False
        number: Any = value  # the comparison is false for NaN
        return self.low <= number <= self.high


def _setting(field: msgspec.inspect.Field) -> Setting:
    types = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
    (annotated,) = (each for each in types if not isinstance(each, msgspec.inspect.NoneType))
    assert isinstance(annotated, msgspec.inspect.Metadata), f"{field.name} has no title"
    schema, inner = annotated.extra_json_schema or {}, annotated.type
    kinds = {msgspec.inspect.IntType: int, msgspec.inspect.FloatType: float, msgspec.inspect.LiteralType: str}
    low, high = getattr(inner, "ge", None) or 0, getattr(inner, "le", None) or 0
    return Setting(
        name=field.name,
        kind=kinds[type(inner)],
        title=schema["title"],
        description=schema["description"],
        low=low,
        high=high,
        usual=(annotated.extra or {}).get("usual", high),
        choices=tuple(getattr(inner, "values", ())),
        default=field.default,
    )


SETTINGS: tuple[Setting, ...] = tuple(
    _setting(field)
    for field in msgspec.inspect.type_info(SamplingSettings).fields  # type: ignore[attr-defined]
)
"""All settings, in the order in which people see them."""
