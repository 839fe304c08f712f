"""The Slicer side of SAM-I2I: what the panel shows and how it runs the library.

`protocol`, `process_tree`, `nrrd`, `contrast_guess`, `model_choice`, `progress` and `readiness`
know nothing of Slicer; the others use its scene, views and Qt. None imports torch or SimpleITK:
the work runs in a process of its own.
"""
