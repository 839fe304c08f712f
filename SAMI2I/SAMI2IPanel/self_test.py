"""The module's self-test, mixed into `SAMI2ITest`; runs in Slicer and on the test host."""

import json
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import slicer
import vtk

from SAMI2IPanel.bridge import RECORD_ATTRIBUTE, SOURCE_REFERENCE, isSynthetic
from SAMI2IPanel.jobs import TranslationJob, TranslationOptions
from SAMI2IPanel.protocol import Outcome, PanelError
from SAMI2IPanel.sample_data import samplePaths

PATIENCE_SECONDS = 900
# A few slices through the ventricles: the run takes seconds on a CPU.
SLICES = slice(50, 53)


class SelfTest:
    """Tests on the sample head with the bundled models; `self.logic` is a `SAMI2ILogic`."""

    logic: Any
    _readiness: ClassVar[dict[str, Any]] = {}

    def runAllTests(self) -> None:
        """Run every test after the other.

        Raises:
            SkipTest: A test could not run; the others have passed.
        """
        skipped = []
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            try:
                getattr(self, name)()
            except unittest.SkipTest as reason:
                skipped.append(f"{name}: {reason}")
            finally:
                self.tearDown()
        if skipped:
            raise unittest.SkipTest("; ".join(skipped))

    def test_sample_is_translated_on_its_grid_with_its_provenance(self) -> None:
        self.skipUnlessReady()
        source = self.loadSample(SLICES)
        output = self.logic.process(source, targetContrast="T2")
        array = slicer.util.arrayFromVolume(output)
        self.assertEqual(output.GetName(), f"{source.GetName()}_synth-T2")
        self.assertGreater(array.max(), 100)
        self.assertLessEqual(array.max(), 1000)
        self.assertSameGrid(source, output)
        record = json.loads(output.GetAttribute(RECORD_ATTRIBUTE))
        self.assertTrue(isSynthetic(output))
        self.assertEqual(record["target_contrast"], "T2")
        self.assertEqual(record["source"]["node"], source.GetName())
        self.assertEqual(len(record["model"]["sha256"]), 64)
        self.assertIs(output.GetNodeReference(SOURCE_REFERENCE), source)
        self.assertIsNotNone(output.GetDisplayNode())

    def test_oblique_sagittal_volume_under_a_transform_keeps_its_geometry(self) -> None:
        self.skipUnlessReady()
        source = self.loadSample(SLICES)
        plain = slicer.util.arrayFromVolume(self.logic.process(source)).copy()
        turned = self.asSagittal(source)
        transform = self.addTransform(degrees=10)
        turned.SetAndObserveTransformNodeID(transform.GetID())
        # The transform turns the head back to where the volume's own matrix has turned it from.
        self.turn(turned, degrees=-10)
        output = self.logic.process(turned)
        self.assertSameGrid(turned, output)
        self.assertIs(output.GetParentTransformNode(), transform)
        moved = slicer.util.arrayFromVolume(output).transpose(1, 2, 0)
        self.assertLess(abs(moved - plain).max(), 1.0)

    def test_cancelled_run_leaves_no_process_no_folder_and_no_node(self) -> None:
        self.skipUnlessReady()
        source = self.loadSample(slice(None))
        before = slicer.mrmlScene.GetNumberOfNodes()
        seen: list[str] = []
        ended: list[Outcome] = []
        job = TranslationJob(
            source, None, TranslationOptions("T2"),
            lambda event: seen.append(event.get("stage", "")), ended.append,
        )  # fmt: skip
        self.logic.start(job)
        folder = job.folder
        self.assertTrue(folder.is_dir())
        self.waitFor(lambda: "translate" in seen)
        with self.assertRaisesRegex(PanelError, "Another task is running"):
            self.logic.process(source)
        self.logic.cancel()
        self.waitFor(lambda: bool(ended))
        self.assertTrue(ended[0].cancelled)
        self.assertEqual(job.processId, 0)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)
        self.assertFalse(folder.exists())

    def test_volume_without_a_head_is_refused_with_a_hint(self) -> None:
        self.skipUnlessReady()
        source = self.loadSample(SLICES)
        slicer.util.updateVolumeFromArray(source, slicer.util.arrayFromVolume(source) * 0 + 7)
        before = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(PanelError, "constant: every voxel is 7"):
            self.logic.process(source)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_scene_brings_choices_and_provenance_back(self) -> None:
        self.skipUnlessReady()
        source = self.loadSample(SLICES)
        output = self.logic.process(source, targetContrast="PD")
        record, name = output.GetAttribute(RECORD_ATTRIBUTE), output.GetName()
        parameters = self.logic.getParameterNode()
        parameters.inputVolume, parameters.resultVolume = source, output
        parameters.targetContrast, parameters.batchSize = "PD", 3
        with tempfile.TemporaryDirectory() as folder:
            scene = str(Path(folder) / "scene.mrb")
            self.assertTrue(slicer.util.saveScene(scene))
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(scene)
        restored = self.logic.getParameterNode()
        self.assertEqual((restored.targetContrast, restored.batchSize), ("PD", 3))
        self.assertEqual(restored.inputVolume.GetName(), source.GetName())
        self.assertEqual(restored.resultVolume.GetName(), name)
        self.assertEqual(restored.resultVolume.GetAttribute(RECORD_ATTRIBUTE), record)
        self.assertIs(
            restored.resultVolume.GetNodeReference(SOURCE_REFERENCE), restored.inputVolume
        )

    def skipUnlessReady(self) -> None:
        """Skip, with the reason, where a translation cannot run."""
        if not self._readiness.get("ready"):  # once it is ready it stays so
            found: list[Outcome] = []
            self.logic.query(["doctor", "--json"], found.append)
            self.waitFor(lambda: bool(found))
            self._readiness.update(found[0].result or {"status": str(found[0].failure)})
        if not self._readiness.get("ready"):
            self.skipTest(self._readiness["status"])

    def waitFor(self, condition: Callable[[], bool]) -> None:
        """Let Slicer work until something is so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"nothing happened for {PATIENCE_SECONDS} s")
            slicer.app.processEvents()
            time.sleep(0.02)

    def loadSample(self, slices: slice) -> Any:
        """Load axial slices of the sample's T1."""
        node = slicer.util.loadVolume(str(samplePaths()[0]), {"name": "Sample_T1"})
        start = slices.start or 0
        array = slicer.util.arrayFromVolume(node)[slices].copy()
        matrix = self.matrixOf(node)
        matrix[:3, 3] += start * matrix[:3, 2]
        slicer.util.updateVolumeFromArray(node, array)
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        return node

    def asSagittal(self, axial: Any) -> Any:
        """Make a node of the same voxels, counted slice by slice along the axial I axis."""
        matrix = self.matrixOf(axial)[:, [1, 2, 0, 3]]
        array = slicer.util.arrayFromVolume(axial).transpose(2, 0, 1).copy()
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Sagittal_T1")
        slicer.util.updateVolumeFromArray(node, array)
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        return node

    def turn(self, node: Any, degrees: float) -> None:
        """Turn a volume about the left-right axis by its own matrix."""
        turned = rotation(degrees) @ self.matrixOf(node)
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(turned))

    def addTransform(self, degrees: float) -> Any:
        """Add a rotation about the left-right axis to the scene."""
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Turn")
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(rotation(degrees)))
        return node

    def matrixOf(self, node: Any) -> Any:
        """(4, 4) IJK-to-RAS of a volume node."""
        matrix = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(matrix)
        return slicer.util.arrayFromVTKMatrix(matrix)

    def assertSameGrid(self, first: Any, second: Any) -> None:
        """Same size and, to the last digit, the same place."""
        self.assertEqual(
            first.GetImageData().GetDimensions(), second.GetImageData().GetDimensions()
        )
        self.assertEqual(self.matrixOf(first).tolist(), self.matrixOf(second).tolist())


def rotation(degrees: float) -> Any:
    """(4, 4) rotation about the left-right axis."""
    transform = vtk.vtkTransform()
    transform.RotateX(degrees)
    return slicer.util.arrayFromVTKMatrix(transform.GetMatrix())
