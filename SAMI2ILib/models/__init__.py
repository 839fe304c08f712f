"""The networks of SAM-I2I as `torch.nn.Module`s; they know nothing of files and volumes."""

from SAMI2ILib.models.decoder import Decoder, DecoderConfig
from SAMI2ILib.models.encoder import Encoder
from SAMI2ILib.models.sam_i2i import SamI2I, build_sam_i2i
from SAMI2ILib.models.strict_load import load_strictly
from SAMI2ILib.models.trunk import build_trunk, load_trunk, load_trunk_tensors
from SAMI2ILib.models.variants import HIERA_VARIANTS, HieraConfig

__all__ = [
    "HIERA_VARIANTS",
    "Decoder",
    "DecoderConfig",
    "Encoder",
    "HieraConfig",
    "SamI2I",
    "build_sam_i2i",
    "build_trunk",
    "load_strictly",
    "load_trunk",
    "load_trunk_tensors",
]
