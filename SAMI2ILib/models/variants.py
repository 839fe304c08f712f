"""Sizes of the Hiera trunk: the four of SAM2 and the small one of the bundled models."""

from dataclasses import dataclass

from SAMI2ILib.errors import InputError
from SAMI2ILib.models.config_json import (
    JsonConfig,
    check_integer,
    check_integers,
)

STAGES = 4
POOLED_STAGES = STAGES - 1
# The position embedding of the first windows is tiled over the stride-4 map, whose sides are
# multiples of 8 where the input's are multiples of 32.
STRIDE_4_MULTIPLE = 8


@dataclass(frozen=True)
class HieraConfig(JsonConfig):
    """Arguments of SAM2's `Hiera`, under the names that `sam2` gives them.

    The arguments that say where weights come from (`weights_path`) and which maps are returned
    (`return_interm_layers`) are not part of a size: weights come through `load_trunk`, and all
    four maps are always returned.

    Args:
        embed_dim: Channels of the first stage.
        num_heads: Attention heads of the first stage.
        stages: Blocks per stage, four stages.
        global_att_blocks: Numbers of the blocks that attend over the whole map, counted from 0.
        window_pos_embed_bkg_spatial_size: Height and width of the learned position embedding,
            interpolated to the map.
        window_spec: Side of the attention windows per stage, in tokens.
        q_pool: How many stage changes halve the map: always 3, the decoder needs strides 4-32.
        q_stride: Factor of the halving: always (2, 2), for the same reason.
        dim_mul: Factor of the channels from stage to stage.
        head_mul: Factor of the heads from stage to stage.
        drop_path_rate: Stochastic depth during training of the trunk itself; 0 in every variant.

    Raises:
        InputError: A value is of the wrong type or cannot work with the others.

    Source:
        Hiera, arXiv 2306.00989; SAM2, arXiv 2408.00714.
    """

    embed_dim: int
    num_heads: int
    stages: tuple[int, ...]
    global_att_blocks: tuple[int, ...]
    window_pos_embed_bkg_spatial_size: tuple[int, ...] = (14, 14)
    window_spec: tuple[int, ...] = (8, 4, 14, 7)
    q_pool: int = POOLED_STAGES
    q_stride: tuple[int, ...] = (2, 2)
    dim_mul: float = 2.0
    head_mul: float = 2.0
    drop_path_rate: float = 0.0

    def __post_init__(self) -> None:
        self._check_types()
        self._check_windows()
        self._check_widths()

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of F1..F4, finest first."""
        return _grow(self.embed_dim, self.dim_mul)

    @property
    def heads(self) -> tuple[int, ...]:
        """Attention heads of the four stages, finest first."""
        return _grow(self.num_heads, self.head_mul)

    def _check_types(self) -> None:
        check_integer("embed_dim", self.embed_dim, 1)
        check_integer("num_heads", self.num_heads, 1)
        check_integers("stages", self.stages, 1, STAGES)
        check_integers("global_att_blocks", self.global_att_blocks, 0)
        check_integers(
            "window_pos_embed_bkg_spatial_size", self.window_pos_embed_bkg_spatial_size, 1, 2
        )
        check_integers("window_spec", self.window_spec, 1, STAGES)
        if self.q_pool != POOLED_STAGES or self.q_stride != (2, 2):
            raise InputError(
                "q_pool must be 3 and q_stride (2, 2), so that the four maps have the strides "
                f"4, 8, 16 and 32; got {self.q_pool!r} and {self.q_stride!r}."
            )
        for name, factor in (("dim_mul", self.dim_mul), ("head_mul", self.head_mul)):
            if isinstance(factor, bool) or not isinstance(factor, int | float) or factor < 1:
                raise InputError(f"{name} must be a number of at least 1, got {factor!r}.")
        rate = self.drop_path_rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise InputError(f"drop_path_rate must be a number in [0, 1), got {rate!r}.")

    def _check_windows(self) -> None:
        if STRIDE_4_MULTIPLE % self.window_spec[0]:
            raise InputError(
                "window_spec[0] must divide 8, so that inputs of any multiple of 32 work, got "
                f"{self.window_spec[0]}."
            )
        blocks = sum(self.stages)
        if any(block >= blocks for block in self.global_att_blocks):
            raise InputError(
                f"global_att_blocks must be numbers below {blocks}, the number of blocks, got "
                f"{self.global_att_blocks}."
            )
        # The first block of a stage pools its queries inside the windows of the stage before it;
        # `sam2` can do that neither over the whole map nor in windows of an odd side.
        changes = {sum(self.stages[: stage + 1]) for stage in range(POOLED_STAGES)}
        if clash := sorted(changes.intersection(self.global_att_blocks)):
            raise InputError(
                "global_att_blocks must not name the first block of a later stage, got "
                f"{', '.join(map(str, clash))} with stages {self.stages}."
            )
        if any(window % 2 for window in self.window_spec[:POOLED_STAGES]):
            raise InputError(
                "window_spec must be even in the first three stages, whose windows are halved at "
                f"the change of stage, got {self.window_spec}."
            )

    def _check_widths(self) -> None:
        for channels, heads in zip(self.channels, self.heads, strict=True):
            if channels % heads:
                raise InputError(
                    "The heads of every stage must divide its channels, got channels "
                    f"{self.channels} and heads {self.heads}."
                )


def _grow(first: int, factor: float) -> tuple[int, ...]:
    """Return the first stage's number and its three successors, rounded down as `Hiera` does."""
    numbers = [first]
    for _ in range(POOLED_STAGES):
        numbers.append(int(numbers[-1] * factor))
    return tuple(numbers)


HIERA_VARIANTS: dict[str, HieraConfig] = {
    "tiny": HieraConfig(
        embed_dim=96,
        num_heads=1,
        stages=(1, 2, 7, 2),
        global_att_blocks=(5, 7, 9),
        window_pos_embed_bkg_spatial_size=(7, 7),
    ),
    "small": HieraConfig(
        embed_dim=96,
        num_heads=1,
        stages=(1, 2, 11, 2),
        global_att_blocks=(7, 10, 13),
        window_pos_embed_bkg_spatial_size=(7, 7),
    ),
    "base_plus": HieraConfig(
        embed_dim=112,
        num_heads=2,
        stages=(2, 3, 16, 3),
        global_att_blocks=(12, 16, 20),
    ),
    "large": HieraConfig(
        embed_dim=144,
        num_heads=2,
        stages=(2, 6, 36, 4),
        global_att_blocks=(23, 33, 43),
        window_pos_embed_bkg_spatial_size=(7, 7),
        window_spec=(8, 4, 16, 8),
    ),
    # Not a size of SAM2: trained from scratch for the bundled models. Its windows divide
    # 256/128/64/32, so that no window of a 256x256 slice is padded.
    "demo": HieraConfig(
        embed_dim=32,
        num_heads=1,
        stages=(1, 1, 3, 1),
        global_att_blocks=(4,),
        window_spec=(8, 4, 16, 8),
    ),
}
"""Every trunk size by name: `tiny`, `small`, `base_plus`, `large` as in SAM2, and `demo`."""
