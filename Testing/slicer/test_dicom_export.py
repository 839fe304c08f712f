"""Synthetic nodes as DICOM: the panel's button and the plugin of Slicer's export dialog.

Slicer's dialog, its DICOM database and `qSlicerDICOMExportable` are not on the test host: small
stand-ins with the names of their documentation take their place.
"""

import json
import sys
import types

import numpy as np
import pydicom
import pytest

from Testing.slicer.conftest import MODULE
from Testing.slicer.test_bridge import OBLIQUE, RECORD

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def make_synthetic(slicerHost):
    """A synthetic node beside its source, as a translation leaves both."""
    import slicer
    from SAMI2IPanel.bridge import SourceGeometry, markSynthetic

    def make(matrix=OBLIQUE, shape=(4, 20, 24), record=None):
        values = np.random.default_rng(2).uniform(0, 1000, shape).astype(np.float32)
        nodes = []
        for name in ("JANE^DOE", "JANE^DOE_synth-T2"):
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
            slicer.util.updateVolumeFromArray(node, values)
            node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
            nodes.append(node)
        source, node = nodes
        geometry = SourceGeometry(
            source.GetName(), source.GetID(), shape, matrix, matrix, None, ()
        )  # fmt: skip
        fields = {**RECORD, "warnings": [], **(record or {})}
        fields["software"] = {"name": "SAM-I2I for 3D Slicer", "version": "1.2"}
        markSynthetic(node, fields, geometry)
        return source, node

    return make


def headers(folder):
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def test_node_is_exported_where_it_lies_without_its_name(make_synthetic, tmp_path):
    import slicer
    from SAMI2IPanel.dicom_export import canBeExported, exportNode

    source, node = make_synthetic()
    assert canBeExported(node)
    assert not canBeExported(source)
    (tmp_path / "other.txt").write_text("x")
    exported = exportNode(node, tmp_path)
    assert exported.folder == tmp_path / "SYNTHETIC_T2_1"
    array = slicer.util.arrayFromVolume(node)
    inverse = np.linalg.inv(OBLIQUE)
    for dataset in headers(exported.folder):
        assert "JANE" not in str(dataset)
        place = LPS_TO_RAS @ [*map(float, dataset.ImagePositionPatient), 1]
        i, j, k, _one = inverse @ place
        assert np.allclose([i, j, k], np.round([i, j, k]), atol=1e-4)
        first = np.frombuffer(dataset.PixelData, "<u2")[0]
        assert abs(first - array[round(k), round(j), round(i)]) <= 0.5
    assert exportNode(node, tmp_path).folder == tmp_path / "SYNTHETIC_T2_2"


def test_an_error_map_is_not_offered(make_synthetic):
    from SAMI2IPanel.bridge import RECORD_ATTRIBUTE
    from SAMI2IPanel.dicom_export import canBeExported

    _source, node = make_synthetic()
    node.RemoveAttribute(RECORD_ATTRIBUTE)  # what an error map lacks
    assert not canBeExported(node)


@pytest.fixture
def database(make_synthetic, tmp_path, monkeypatch):
    """A DICOM database with the series that a source node was loaded from."""
    import slicer
    from SAMI2IPanel.dicom_export import exportNode

    _first, scan = make_synthetic()
    folder = exportNode(scan, tmp_path / "scan").folder
    files = {str(header.SOPInstanceUID): header.filename for header in headers(folder)}
    store = types.SimpleNamespace(fileForInstance=lambda uid: files.get(uid, ""))
    monkeypatch.setattr(slicer, "dicomDatabase", store, raising=False)
    return files


def test_series_joins_the_study_of_a_source_from_the_dicom_database(
    make_synthetic, database, tmp_path
):
    from SAMI2IPanel.dicom_export import exportNode

    source, node = make_synthetic()
    source.SetAttribute("DICOM.instanceUIDs", " ".join(database))
    exported = exportNode(node, tmp_path / "out")
    original = pydicom.dcmread(next(iter(database.values())))
    assert exported.study_uid == original.StudyInstanceUID
    assert exported.notices == ()
    referred = {h.SourceImageSequence[0].ReferencedSOPInstanceUID for h in headers(exported.folder)}
    assert referred == set(database)


def test_source_that_left_the_database_is_an_error_and_not_an_unknown_patient(
    make_synthetic, database, tmp_path
):
    from SAMI2IPanel.dicom_export import exportNode
    from SAMI2IPanel.protocol import PanelError

    source, node = make_synthetic()
    source.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    with pytest.raises(PanelError, match=r"are not in the DICOM database\. Import"):
        exportNode(node, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_volume_that_moved_apart_from_its_source_is_refused(make_synthetic, tmp_path):
    import slicer
    from SAMI2IPanel.dicom_export import exportNode
    from SAMI2IPanel.protocol import PanelError

    source, node = make_synthetic()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(PanelError, match="not under the same transform as its source"):
        exportNode(node, tmp_path / "out")
    source.SetAndObserveTransformNodeID(transform.GetID())
    assert exportNode(node, tmp_path / "out").count == 4


def test_what_the_library_refuses_is_said_in_its_words(make_synthetic, tmp_path):
    from SAMI2IPanel.bridge import RECORD_ATTRIBUTE
    from SAMI2IPanel.dicom_export import exportNode
    from SAMI2IPanel.protocol import PanelError

    _source, node = make_synthetic()
    with pytest.raises(PanelError, match="series number or the record"):
        exportNode(node, tmp_path / "out", seriesNumber="four")
    node.SetAttribute(RECORD_ATTRIBUTE, json.dumps({"synthetic": True}))
    with pytest.raises(PanelError, match="damaged or was changed by hand"):
        exportNode(node, tmp_path / "out")


def test_a_missing_package_is_named(make_synthetic, tmp_path, monkeypatch):
    from SAMI2IPanel.dicom_export import exportNode
    from SAMI2IPanel.protocol import PanelError

    _source, node = make_synthetic()
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(PanelError, match="package pydicom is missing"):
        exportNode(node, tmp_path / "out")


class Exportable:
    """Stands in for `slicer.qSlicerDICOMExportable`: its properties, no others, and its tags."""

    __slots__ = (
        "confidence", "directory", "name", "pluginClass", "subjectHierarchyItemID", "tags",
        "tooltip",
    )  # fmt: skip

    def __init__(self):
        self.name = self.tooltip = self.directory = self.pluginClass = ""
        self.subjectHierarchyItemID, self.confidence, self.tags = 0, 0.0, {}

    def setTag(self, name, value):
        self.tags[name] = value

    def tag(self, name):
        return self.tags.get(name)


@pytest.fixture
def plugin(slicerHost, monkeypatch):
    """The plugin as Slicer's DICOM module makes it."""
    import slicer

    library = types.ModuleType("DICOMLib")
    library.DICOMPlugin = type("DICOMPlugin", (), {"__init__": lambda self: None})
    monkeypatch.setitem(sys.modules, "DICOMLib", library)
    monkeypatch.delitem(sys.modules, "SAMI2IDICOMPlugin", raising=False)
    monkeypatch.syspath_prepend(MODULE.parent)  # a test that closed the module has taken it away
    monkeypatch.setattr(slicer, "qSlicerDICOMExportable", Exportable, raising=False)
    monkeypatch.setattr(slicer.modules, "dicomPlugins", {}, raising=False)
    import SAMI2IDICOMPlugin

    parent = types.SimpleNamespace()
    SAMI2IDICOMPlugin.SAMI2IDICOMPlugin(parent)
    assert parent.hidden
    return slicer.modules.dicomPlugins["SAMI2IDICOMPlugin"]()


def item_of(node):
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    return hierarchy.GetItemByDataNode(node)


def test_plugin_is_offered_before_slicers_own_and_for_synthetic_volumes_alone(
    plugin, make_synthetic
):
    import slicer

    source, node = make_synthetic()
    assert plugin.examineForImport([["a.dcm"]]) == []
    assert plugin.examineForExport(item_of(source)) == []
    assert plugin.examineForExport(0) == []
    (offered,) = plugin.examineForExport(item_of(node))
    assert offered.confidence > 0.5  # DICOMScalarVolumePlugin's
    assert offered.pluginClass in slicer.modules.dicomPlugins


def test_plugin_writes_into_the_folder_of_the_dialog(plugin, make_synthetic, tmp_path):
    _source, node = make_synthetic()
    (offered,) = plugin.examineForExport(item_of(node))
    offered.directory = str(tmp_path / "export")  # empty: Slicer made it for its database
    (tmp_path / "export").mkdir()
    offered.setTag("PatientID", "77")
    offered.setTag("SeriesNumber", "12")
    assert plugin.export([offered]) == ""
    first, *others = headers(tmp_path / "export")
    assert len(others) == 3
    assert (first.PatientID, first.SeriesNumber) == ("77", 12)
    assert first.ImageType[:2] == ["DERIVED", "SECONDARY"]


def test_plugin_gives_errors_to_the_dialog(plugin, make_synthetic, tmp_path):
    import slicer

    _source, node = make_synthetic()
    (offered,) = plugin.examineForExport(item_of(node))
    offered.directory = str(tmp_path)
    offered.setTag("SeriesNumber", "four")
    assert "Give a whole number" in plugin.export([offered])
    slicer.mrmlScene.RemoveNode(node)
    assert "not in the scene any more" in plugin.export([offered])
    assert list(tmp_path.iterdir()) == []


def test_button_writes_the_result_and_says_where(slicerHost, widget, make_synthetic, tmp_path):
    panel = widget.panel
    source, node = make_synthetic()
    assert not panel.ui.exportDicomButton.enabled
    panel.parameters.resultVolume = node
    slicerHost.processEvents()
    assert panel.ui.exportDicomButton.enabled
    (tmp_path / "scans").mkdir()
    slicerHost.answer(str(tmp_path / "scans"))
    slicerHost.answer(True)
    panel.ui.exportDicomButton.click()
    assert len(headers(tmp_path / "scans")) == 4
    assert "4 slices were written to" in slicerHost.dialogs[-1].text
    slicerHost.answer("")
    panel.ui.exportDicomButton.click()  # the user closes the dialog
    assert len(headers(tmp_path / "scans")) == 4
    panel.parameters.resultVolume = source
    slicerHost.processEvents()
    assert not panel.ui.exportDicomButton.enabled
