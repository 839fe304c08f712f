"""The training configuration: what a run depends on, as frozen dataclasses."""

from dataclasses import dataclass, field
from typing import Any

from SAMI2ILib.models import HieraConfig
from SAMI2ILib.weights.spec import Family


@dataclass(frozen=True)
class DataSource:
    """One dataset folder, as `sami2i prepare` makes it.

    Attributes:
        name: What flags and logs call it.
        folder: Where it lies; empty until `--data name=FOLDER` fills it.
        weight: Share of the crops that come from it, relative to the other sources.
        only: Subjects to take, from any part of the split; empty takes the parts of `train_parts`.
        exclude: Subjects to leave out.
        license: Of the data, for the model card; empty takes what the dataset says.
    """

    name: str
    folder: str = ""
    weight: float = 1.0
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    license: str = ""


@dataclass(frozen=True)
class EncoderConfig:
    """Which encoder, and whether it learns.

    Attributes:
        variant: A name of `models.HIERA_VARIANTS`; "custom" with `hiera`; or an image encoder of
            CLIP as "clip:MODEL/PRETRAINED" in the words of `open_clip`, always frozen.
        checkpoint: Weights to start from: the name of a public SAM2 checkpoint in the model
            store, a file of one, or the encoder file of an earlier run; for CLIP a file. Empty
            starts from random values, or for CLIP from `open_clip`'s cache.
        frozen: The paper's choice with a pre-trained trunk; false trains it with the decoders.
        separate: Write the encoder to a file of its own even for one target, so that models of
            later runs can share it.
        hiera: Arguments of a Hiera trunk, for the variant "custom"; for a CLIP those of the trunk
            in whose place it stands, whose widths its maps are brought to. None takes those of
            SAM2's `base_plus`.
    """

    variant: str = "demo"
    checkpoint: str = ""
    frozen: bool = False
    separate: bool = False
    hiera: HieraConfig | None = None


@dataclass(frozen=True)
class DecoderOptions:
    """The mask-unit-attention decoder; its widths follow from the trunk's.

    Attributes:
        depth: As in `DecoderConfig`, as are the others.
        windows: Side of the attention windows, coarsest first.
        shifted_windows: Move the windows of every second layer.
        encoder_upscale: How much the encoder enlarges slices.
        detail_width: Channels of the detail branch; 0 has none.
        detail_depth: Convolution layers at each of its levels.
        detail_levels: Its levels below the map of attention that it joins.
        detail_batch_norm: Batch normalization in its layers.
    """

    depth: int = 1
    windows: tuple[int, ...] = (16, 8, 4)
    shifted_windows: bool = False
    encoder_upscale: int = 4
    detail_width: int = 0
    detail_depth: int = 1
    detail_levels: int = 0
    detail_batch_norm: bool = False


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The opponent of the adversarial loss; used where `optimization.adversarial` is above zero.

    Attributes:
        clip: The CLIP that it looks through, "MODEL/PRETRAINED" in the words of `open_clip`.
        checkpoint: File of CLIP's weights; empty takes them from `open_clip`'s cache.
        taps: Blocks of CLIP whose maps are judged, counted from 0.
        loss: A name of `adversarial.ADVERSARIAL_LOSSES`.
        learning_rate: Of its Adam; follows the schedule of the generator's.
        betas: Of its Adam.
        augment: Policies of DiffAugment; empty switches it off.
    """

    clip: str = "ViT-B-32/openai"
    checkpoint: str = ""
    taps: tuple[int, ...] = (3, 7)
    loss: str = "nonsaturating"
    learning_rate: float = 2e-5
    betas: tuple[float, ...] = (0.5, 0.999)
    augment: tuple[str, ...] = ("color", "translation", "cutout")


@dataclass(frozen=True)
class BaselineOptions:
    """How a compared system is trained; used where `family` names one.

    Losses are measured on images in [0, 1]; in the [-1, 1] of the papers they are twice as large.

    Attributes:
        judge_width: Channels of the first layer of PatchGAN.
        cycle: Weight of the error of going there and back, for CycleGAN.
        identity: Weight of what a generator changes in images of its own target, for CycleGAN.
        pool: Translated images that CycleGAN's discriminators remember.
        paired_l1: Train CycleGAN with pairs, adding `optimization.l1`; false never shows it a pair.
        pretrained: Start ResViT's transformer from ImageNet; false from random values.
        checkpoint: File of these weights; empty takes them from `timm`'s cache.
        first_stage: Part of the budget that ResViT trains without its transformer.
        second_rate: Learning rate of its second stage, relative to `optimization.learning_rate`.
    """

    judge_width: int = 64
    cycle: float = 20.0
    identity: float = 10.0
    pool: int = 50
    paired_l1: bool = False
    pretrained: bool = False
    checkpoint: str = ""
    first_stage: float = 0.0
    second_rate: float = 1.0


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a crop; a probability or range of zero switches one off.

    Attributes:
        flip: Probability of mirroring left and right.
        rotation_deg: Rotations are drawn from +- this.
        scale: Log-uniform zoom of each axis between 1 / (1 + scale) and 1 + scale.
        remap: Probability of a random rising tone curve on the source.
        gamma: Log of the exponent is drawn from +- this; the source only.
        dark_floor: In every second crop the source's darkest part is cut, by up to this part of
            the median intensity: CSF as dark as air.
        bias: Log of the bias field's peak is drawn from +- this; the source only.
        noise: Standard deviation of the noise is drawn from 0 to this part of the median
            intensity; the source only.
        blur: Probability of losing resolution along one axis or both; the source only.
        context: Probability that the neighbors of a slice are taken from twice as far, or are the
            slice itself; only with `context_slices` of 3.
        strip: Probability that a crop shows the brain alone, as a skull-stripped scan does; only
            for subjects with a brain mask.
    """

    flip: float = 0.5
    rotation_deg: float = 15.0
    scale: float = 0.2
    remap: float = 0.5
    gamma: float = 0.4
    dark_floor: float = 0.5
    bias: float = 0.4
    noise: float = 0.1
    blur: float = 0.25
    context: float = 0.4
    strip: float = 0.0

    @property
    def interpolates(self) -> bool:
        """Whether the pixels of a crop lie between those of its slice; mirrored ones do not."""
        return bool(self.rotation_deg or self.scale)


@dataclass(frozen=True)
class Optimization:
    """Losses and schedule; exactly one of `BUDGET_KEYS` is above zero.

    Attributes:
        steps: Optimizer steps in all.
        epochs: Passes over all slices; each slice comes once in each.
        minutes: Training time in all, over every resumption.
        cpu_minutes: The same in time of the processor, without validations and pictures: a budget
            that other programs on the machine do not shorten. Needs `workers` of 0, so that the
            cutting of crops counts too.
        batch: Crops a step, over all processes and micro-batches together.
        accumulate: Micro-batches that a process divides its part of the batch into.
        crop: Height and width of a crop in pixels of the working grid.
        learning_rate: Peak rate of AdamW (with `weight_decay` 0 it is Adam).
        schedule: "cosine" decays to zero along half a cosine, "constant" stays, "linear" stays for
            the first half and falls to zero in the second.
        warm_up: Part of the budget in which the rate rises from zero.
        betas: Of AdamW.
        weight_decay: Of AdamW.
        ema: Largest decay of the averaged weights that are exported, which are never older than
            a quarter of the run; 0 exports the last ones.
        clip: Largest gradient norm; 0 does not clip.
        region: Where the losses look: the "foreground" of the source, or the whole "image".
        l1: Weight of the mean absolute error.
        ssim: Weight of 1 - SSIM.
        adversarial: Weight of the adversarial loss; 0 trains without a discriminator.
        validate_every: Steps between validations; 0 is an epoch, a twentieth of `steps`, or, where
            the budget is in minutes, each checkpoint.
        patience: End after so many validations without an improvement; 0 never does.
        export: Which weights become the model: the "last" or those of the "best" validation.
    """

    steps: int = 0
    epochs: float = 0.0
    minutes: float = 0.0
    cpu_minutes: float = 0.0
    batch: int = 8
    accumulate: int = 1
    crop: int = 128
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warm_up: float = 0.02
    betas: tuple[float, ...] = (0.9, 0.999)
    weight_decay: float = 0.01
    ema: float = 0.0
    clip: float = 1.0
    region: str = "foreground"
    l1: float = 1.0
    ssim: float = 0.0
    adversarial: float = 0.0
    validate_every: int = 0
    patience: int = 0
    export: str = "last"


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that a training run depends on, apart from the machine.

    Attributes:
        name: Of the run; becomes part of the models' ids: lower case, digits, ". _ -".
        data: Where the subjects come from.
        recipe: The preset that the other keys started from.
        family: The system: "sam-i2i", or one that it is compared with: "unet", "pix2pix",
            "cyclegan", "resvit". Those have no encoder and no decoder.
        generator: Sizes of a compared system, under the names of its configuration in `baselines`;
            what is left out is as in its paper.
        title: What models call themselves in a list; the name where it is empty.
        source: The contrast that goes in.
        targets: The contrasts that come out; each has a decoder, all share the encoder.
        context_slices: Slices that enter together: 1, or 3 with the two neighbors.
        tile: Height and width in pixels of what the models take at a time; smaller slices are
            padded to it, larger ones tiled.
        train_parts: Parts of the datasets' splits to train on.
        validation: Subjects that are measured and never trained on; empty takes the part
            "validation" unless it is trained on.
        seed: Of every random choice.
        threads: Of the CPU; 0 leaves the choice to torch.
        workers: Processes that cut crops beside the training; 0 cuts them in between.
        bf16: Train in bfloat16 where the processor has it.
        compile: Compile the network with torch.compile.
        channels_last: Keep images in memory channel by channel of each pixel.
        tensorboard: Write the curves for TensorBoard too, where it is installed.
        log_every: Steps between two rows of the table of losses.
        sample_images: Slices that are drawn at each validation; 0 draws none.
        checkpoint_minutes: Between two checkpoints.
        license: Of the trained weights.
    """

    name: str
    data: tuple[DataSource, ...]
    recipe: str = "demo"
    family: Family = "sam-i2i"
    title: str = ""
    source: str = "T1"
    targets: tuple[str, ...] = ("T2", "PD")
    context_slices: int = 1
    tile: int = 256
    train_parts: tuple[str, ...] = ("train",)
    validation: tuple[str, ...] = ()
    seed: int = 0
    threads: int = 0
    workers: int = 1
    bf16: bool = True
    compile: bool = False
    channels_last: bool = False
    tensorboard: bool = True
    log_every: int = 50
    sample_images: int = 4
    checkpoint_minutes: float = 5.0
    license: str = ""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderOptions = field(default_factory=DecoderOptions)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    generator: dict[str, Any] = field(default_factory=dict)
    baseline: BaselineOptions = field(default_factory=BaselineOptions)
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimization: Optimization = field(default_factory=Optimization)

    @property
    def is_baseline(self) -> bool:
        """Whether a compared system is trained."""
        return self.family != "sam-i2i"

    @property
    def is_unpaired(self) -> bool:
        """Whether the targets of a crop are of another slice than its source."""
        return self.family == "cyclegan" and not self.baseline.paired_l1


MACHINE_KEYS = (
    "threads", "workers", "bf16", "compile", "channels_last", "tensorboard", "log_every",
    "sample_images", "checkpoint_minutes",
)  # fmt: skip
"""Keys that say how a run is computed and shown, not what is learned."""

BUDGET_KEYS = ("steps", "epochs", "minutes", "cpu_minutes")
"""Keys of `Optimization` of which one is above zero."""
