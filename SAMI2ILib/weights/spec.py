"""What a model file says of itself, as dataclasses: contrasts, networks, preprocessing, origin."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, Self

from SAMI2ILib.about import INTENDED_USE, VERSION
from SAMI2ILib.errors import ModelError
from SAMI2ILib.weights.schema import CONTENT_FIELD, FORMAT_VERSION, parse_document

Family = Literal["sam-i2i", "unet", "pix2pix", "cyclegan", "resvit"]
EncoderKind = Literal["none", "embedded", "public", "store"]
Skull = Literal["present", "removed", "both"]

# The order in which models of one pair are offered.
FAMILIES: Final[tuple[Family, ...]] = ("sam-i2i", "unet", "pix2pix", "cyclegan", "resvit")


@dataclass(frozen=True, kw_only=True)
class EncoderReference:
    """Where the encoder of a model comes from.

    Attributes:
        kind: "none" (the family has no separate encoder), "embedded" (its weights are in the model
            file), "public" (an official checkpoint) or "store" (a shared encoder file).
        name: Of the public checkpoint or of the encoder file; empty for the other kinds.
        sha256: Of that file, 64 hexadecimal digits in lower case; empty for the other kinds.
        hiera: Arguments of the Hiera trunk; None for another network.
        clip: Arguments of a CLIP image encoder with its projections; None for another network.
    """

    kind: EncoderKind = "none"
    name: str = ""
    sha256: str = ""
    hiera: dict[str, Any] | None = None
    clip: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """How a volume becomes [0, 1].

    Attributes:
        method: The only one of format 1: clip at a percentile of the foreground, divide by it.
        percentile: In percent.
    """

    method: Literal["foreground-percentile"] = "foreground-percentile"
    percentile: float = 99.5


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What the network expects of a volume.

    Attributes:
        orientation: Directions in which i, j, k grow, e.g. "LPS".
        spacing_mm: In-plane spacing; between slices the input's own is kept.
        size: Height and width of a tile in pixels.
        normalization: How a volume becomes [0, 1].
        context_slices: Slices that enter together: 1, or an odd number of neighbors.
        skull: Whether the training scans showed the skull; "both" if some did.
    """

    orientation: str = "LPS"
    spacing_mm: float = 1.0
    size: int = 256
    normalization: Normalization = field(default_factory=Normalization)
    context_slices: int = 1
    skull: Skull = "both"

    @property
    def slice_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of what the network sees at a time."""
        return self.context_slices, self.size, self.size


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """One collection that the weights were trained on.

    Attributes:
        name: Its public name.
        license: Of the data; empty where it is not known.
        subjects: How many were used.
        note: Anything a reader should know, e.g. how it was split.
    """

    name: str
    license: str = ""
    subjects: int = 0
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the weights came to be.

    Attributes:
        data: The collections.
        recipe: The trainer's configuration; any JSON.
    """

    data: tuple[TrainingData, ...] = ()
    recipe: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One measured figure.

    Attributes:
        name: E.g. "SSIM".
        value: The mean over subjects.
        unit: E.g. "dB"; empty for a pure number.
        data: What it was measured on.
        region: E.g. "brain"; empty for the full field.
        subjects: How many.
        standard_deviation: Over subjects; None where not measured.
    """

    name: str
    value: float
    data: str
    unit: str = ""
    region: str = ""
    subjects: int = 0
    standard_deviation: float | None = None


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """The description in a model file, metadata key `sami2i-model`.

    Attributes:
        family: Which system it is; see `FAMILIES`.
        id: Unique name in the store and part of file names: lower case, digits, ". _ -".
        title: For a person, one line.
        source_contrast: What goes in, e.g. "T1".
        target_contrast: What comes out, e.g. "T2".
        encoder: Where the encoder comes from.
        decoder: Arguments of the rest of the network.
        preprocessing: What the network expects of a volume.
        training: Data and recipe.
        metrics: Measured figures with their data.
        license: Of the weights, as an SPDX identifier where there is one.
        intended_use: Shown wherever a result is.
        software_version: That wrote the file.
        format_version: Of this description.
    """

    family: Family
    id: str
    title: str
    source_contrast: str
    target_contrast: str
    license: str
    encoder: EncoderReference = field(default_factory=EncoderReference)
    decoder: dict[str, Any] = field(default_factory=dict)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    training: Training = field(default_factory=Training)
    metrics: tuple[Metric, ...] = ()
    intended_use: str = INTENDED_USE
    software_version: str = VERSION
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """Write the description; equal specs give equal text.

        Raises:
            ModelError: A field breaks the schema; the message names it.
        """
        return _to_json(self, "model", self.id)

    @classmethod
    def from_json(cls, text: str, name: str = "The text") -> Self:
        """Read a description.

        Args:
            text: What `to_json` wrote.
            name: What error messages call it, e.g. the file's path.

        Raises:
            ModelError: Not JSON, from a newer format, or against the schema.
        """
        fields = parse_document(text, "model", name)
        fields.pop(CONTENT_FIELD, None)
        preprocessing = dict(fields.pop("preprocessing"))
        normalization = Normalization(**preprocessing.pop("normalization"))
        return cls(
            encoder=EncoderReference(**fields.pop("encoder")),
            preprocessing=Preprocessing(normalization=normalization, **preprocessing),
            training=_training(fields.pop("training")),
            metrics=tuple(Metric(**metric) for metric in fields.pop("metrics")),
            **fields,
        )


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """The description in a shared encoder file, metadata key `sami2i-encoder`.

    Attributes:
        id: The name that models refer to.
        title: For a person, one line.
        hiera: Arguments of the Hiera trunk.
        license: Of the weights.
        training: Data and recipe.
        intended_use: What the weights are for.
        software_version: That wrote the file.
        format_version: Of this description.
    """

    id: str
    title: str
    hiera: dict[str, Any]
    license: str
    training: Training = field(default_factory=Training)
    intended_use: str = INTENDED_USE
    software_version: str = VERSION
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """Write the description; equal specs give equal text.

        Raises:
            ModelError: A field breaks the schema; the message names it.
        """
        return _to_json(self, "encoder", self.id)

    @classmethod
    def from_json(cls, text: str, name: str = "The text") -> Self:
        """Read a description.

        Args:
            text: What `to_json` wrote.
            name: What error messages call it, e.g. the file's path.

        Raises:
            ModelError: Not JSON, from a newer format, or against the schema.
        """
        fields = parse_document(text, "encoder", name)
        fields.pop(CONTENT_FIELD, None)
        return cls(training=_training(fields.pop("training")), **fields)


def _to_json(spec: ModelSpec | EncoderSpec, schema: str, name: str) -> str:
    try:
        text = json.dumps(asdict(spec), sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{name}: the {schema} description holds something that is not JSON ({error}).",
            "Use numbers, strings, lists and dictionaries only.",
        ) from error
    # Parsed again, because a tuple is no array for the validator and NaN no number for JSON.
    parse_document(text, schema, name)
    return text


def _training(fields: dict[str, Any]) -> Training:
    data = tuple(TrainingData(**entry) for entry in fields["data"])
    return Training(data=data, recipe=fields["recipe"])
