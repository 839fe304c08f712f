"""Small real things that many tests need: a phantom, a tiny model file, a private store."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.assets import asset_path
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.volume import Volume

AXIAL_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(autouse=True)
def private_store(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """No test reads or changes the models of the person who runs it."""
    folder = tmp_path_factory.mktemp("store")
    monkeypatch.setenv("SAMI2I_MODELS", str(folder))
    return folder


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nor what is cached; the tests of one run share it, as a user's commands do."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMI2I_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture
def windows_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare paths as Windows does, where `B.dcm` comes after `a.dcm`."""

    def is_before(one: Path, other: Path) -> bool:
        return str(one).lower() < str(other).lower()

    monkeypatch.setattr(type(Path()), "__lt__", is_before)


@pytest.fixture(scope="session")
def sample() -> Callable[[str], Volume]:
    """Read a volume of the sample that is shipped: "T1", "T2", "PD" or "brain"."""
    return functools.cache(lambda name: read_volume(asset_path("sample", f"{name}.nii.gz")))


@pytest.fixture(scope="session")
def make_head() -> Callable[..., Volume]:
    """Make a smooth head-like ball: a bright shell, a gray inside, a dark center, air around."""

    def make(
        shape_kji: tuple[int, int, int] = (24, 48, 40),
        ijk_to_ras: np.ndarray = AXIAL_LPS,
        name: str = "phantom.nii.gz",
    ) -> Volume:
        axes = [np.linspace(-1.2, 1.2, n) if n > 1 else np.zeros(1) for n in shape_kji]
        k, j, i = np.meshgrid(*axes, indexing="ij")
        # The shift to one side makes left and right, front and back, top and bottom differ.
        radius = np.sqrt((k - 0.05) ** 2 + (j + 0.08) ** 2 + (i - 0.1) ** 2)
        values = 400 + 300 * radius + 200 * (radius > 0.85) - 250 * np.exp(-((radius / 0.3) ** 2))
        values = np.where(radius < 1, values, 0)
        return Volume(values, ijk_to_ras, name)

    return make


@pytest.fixture(scope="session")
def make_dataset(make_head: Callable[..., Volume]) -> Callable[..., Path]:
    """Write a dataset folder of phantoms: a T1, a T2 that is its inverse, a flat PD."""
    from SAMI2ILib.data.dataset_writer import PreparedSubject, write_manifest, write_subject

    def make(
        folder: Path,
        subjects: dict[str, str],
        splits: dict[str, str] | None = None,
        shape_kji: tuple[int, int, int] = (9, 64, 64),
    ) -> Path:
        """Subjects are given with their contrasts, as {"anna": "T1 T2 PD"}."""
        records = []
        for number, (name, contrasts) in enumerate(subjects.items()):
            k, j, i = shape_kji
            values = make_head(shape_kji=(k, j + 4 * (number % 2), i)).array_kji
            inside = values > 0
            t1 = values / values.max()
            scans = {"T1": t1, "T2": np.where(inside, 1.1 - t1, 0), "PD": inside * 0.5}
            images = {c: scans[c].clip(0, 1).astype(np.float32) for c in contrasts.split()}
            subject = PreparedSubject(
                name,
                images,
                dict.fromkeys(images, inside),
                AXIAL_LPS,
                [n for n in range(k) if inside[n].mean() > 0.05],
                inside if number % 2 == 0 else None,
            )
            records.append(write_subject(folder, subject, "phantom"))
        chosen = dict.fromkeys(subjects, "train") | (splits or {})
        write_manifest(
            folder, records, chosen, contrasts=("T1", "T2", "PD"), name="phantoms",
            license_text="CC0-1.0",
        )  # fmt: skip
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole SAM-I2I model file of a few kilobytes with random weights: T1 to T2, 64x64 tiles."""
    import torch

    from SAMI2ILib.models import DecoderConfig, HieraConfig, build_sam_i2i
    from SAMI2ILib.weights import EncoderReference, ModelSpec, Preprocessing, write_model

    torch.manual_seed(0)
    hiera = HieraConfig(
        embed_dim=8,
        num_heads=1,
        stages=(1, 1, 2, 1),
        global_att_blocks=(3,),
        window_spec=(8, 4, 4, 2),
    )
    decoder = DecoderConfig.for_encoder(hiera, depth=1)
    network = build_sam_i2i(hiera, decoder)
    tensors = {
        name.replace("encoder.trunk.", "encoder."): value.numpy()
        for name, value in network.state_dict().items()
    }
    spec = ModelSpec(
        family="sam-i2i",
        id="tiny-t1-t2",
        title="Random weights, for tests",
        source_contrast="T1",
        target_contrast="T2",
        license="Apache-2.0",
        encoder=EncoderReference(kind="embedded", hiera=hiera.to_json()),
        decoder=decoder.to_json(),
        preprocessing=Preprocessing(size=64),
    )
    path = tmp_path_factory.mktemp("model") / "tiny-t1-t2.safetensors"
    write_model(path, spec, tensors)
    return path


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a CLIP checkpoint of random values with `open_clip` itself: "tiny-vit" or "tiny-rn"."""
    import json
    import logging

    import open_clip
    import torch

    folder = tmp_path_factory.mktemp("clip")
    text = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
    visions = {
        "tiny-vit": {"image_size": 32, "layers": 8, "width": 32, "head_width": 16, "patch_size": 8},
        "tiny-rn": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
    }
    for name, vision in visions.items():
        config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)

    def make(name: str = "tiny-vit", seed: int = 0) -> Path:
        path = folder / f"{name}-{seed}.pt"
        if not path.is_file():
            torch.manual_seed(seed)
            logging.disable(logging.WARNING)
            model = open_clip.create_model(name, pretrained=None)
            logging.disable(logging.NOTSET)
            torch.save(model.state_dict(), path)
        return path

    return make


@pytest.fixture
def save_dicom(tmp_path):
    """Write slices with pydicom; returns the folder."""
    pydicom = pytest.importorskip("pydicom")

    def save(
        array_kji,
        *,
        folder="dicom",
        uid="1.2.826.0.1.3680043.8.498.1",
        description="T1 axial",
        positions=None,
        orientation=(1, 0, 0, 0, 1, 0),
        slopes=None,
        frames=None,
        skip=(),
    ) -> Path:
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        for k, pixels in enumerate(array_kji):
            if k in skip:
                continue
            position = (-10.0, -20.0, 30.0 + 2.5 * k) if positions is None else positions[k]
            slope = 1 if slopes is None else slopes[k]
            dataset = _dicom_slice(pydicom, pixels, uid, k)
            dataset.SeriesDescription = description
            dataset.ImagePositionPatient = [str(round(x, 6)) for x in position]
            dataset.ImageOrientationPatient = [str(round(x, 9)) for x in orientation]
            dataset.RescaleSlope, dataset.RescaleIntercept = str(slope), "0"
            if frames:
                dataset.NumberOfFrames = frames
                dataset.PixelData = dataset.PixelData * frames
            dataset.save_as(target / f"{uid[-3:]}-{k:03d}.dcm", enforce_file_format=True)
        return target

    return save


def _dicom_slice(pydicom, pixels, uid, k):
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    dataset.SOPInstanceUID = f"{uid}.{k + 1}"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = uid, "1.2.826.0.1.3680043.8.498.9"
    dataset.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.8"
    dataset.Modality, dataset.InstanceNumber = "MR", k + 1
    dataset.PixelSpacing, dataset.SliceThickness = ["0.5", "0.75"], "2.5"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 1
    dataset.PixelData = pixels.astype("<i2").tobytes()
    return dataset
