"""Model files, the user's model store and downloads; nothing here imports torch at load time."""

from SAMI2ILib.weights.model_file import (
    ModelContent,
    file_sha256,
    is_encoder_file,
    read_encoder_spec,
    read_model,
    read_spec,
    read_tensors,
    write_encoder,
    write_model,
)
from SAMI2ILib.weights.spec import (
    EncoderReference,
    EncoderSpec,
    Metric,
    ModelSpec,
    Normalization,
    Preprocessing,
    Training,
    TrainingData,
)
from SAMI2ILib.weights.store import Store
from SAMI2ILib.weights.store_files import DamagedFile, StoredEncoder, StoredModel

__all__ = [
    "DamagedFile",
    "EncoderReference",
    "EncoderSpec",
    "Metric",
    "ModelContent",
    "ModelSpec",
    "Normalization",
    "Preprocessing",
    "Store",
    "StoredEncoder",
    "StoredModel",
    "Training",
    "TrainingData",
    "file_sha256",
    "is_encoder_file",
    "read_encoder_spec",
    "read_model",
    "read_spec",
    "read_tensors",
    "write_encoder",
    "write_model",
]
