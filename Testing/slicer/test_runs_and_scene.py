"""What a run leaves alone, and lets go of: views, memory, a scene that closes."""

import gc


def test_end_of_a_run_leaves_the_views_of_another_module_alone_and_no_volume_in_memory(
    slicerHost, start, finish
):
    import slicer

    panel = start()
    scan = panel.parameters.inputVolume
    slicer.util.setSliceViewerLayers(background=scan)
    slicerHost.selectModule("")
    finish(panel)
    result = panel.parameters.resultVolume
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert red.GetBackgroundVolumeID() == scan.GetID()
    shown = slicer.util.mainWindow().statusBar().currentMessage()
    assert shown == f"Done: {result.GetName()}."
    slicerHost.selectModule("SAMI2I")
    freed = []
    for node in (scan, result):
        name = node.GetName()
        # Not told the node: that would call it back to life.
        node.AddObserver("DeleteEvent", lambda *_arguments, name=name: freed.append(name))
        slicer.mrmlScene.RemoveNode(node)
    del scan, result, node
    slicerHost.processEvents()
    gc.collect()
    assert set(freed) == {"head_T1", "head_T1_synth-T2"}


def test_result_that_cannot_be_taken_over_ends_the_run_with_the_reason(slicerHost):
    from SAMI2IPanel.jobs import CommandJob
    from SAMI2IPanel.protocol import Outcome

    def fail(_result):
        raise MemoryError

    ended = []
    job = CommandJob([], lambda _event: None, ended.append)
    job._collect = fail
    job._onChildEnd(Outcome({}, None, False, (), "all well so far"))
    (outcome,) = ended
    assert not outcome.succeeded
    assert (
        outcome.failure.message == "The result could not be brought into the scene (MemoryError)."
    )
    assert "all well so far" in outcome.log
    assert "Traceback" in outcome.log


def test_closing_the_scene_leaves_a_task_of_the_model_store_alone(slicerHost, ready_panel, finish):
    ready_panel._runStoreCommand(["models", "list", "--json"], "the download")
    job = ready_panel.logic.job
    slicerHost.scene.Clear()
    assert ready_panel.logic.job is job
    assert ready_panel.busyWith == "the download"
    finish(ready_panel)
    assert ready_panel.logic.job is None
    assert ready_panel.ui.messageLabel.text.startswith("Done.")
