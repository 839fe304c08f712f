"""A DICOM series out of a synthetic volume, marked as what it is; knows nothing of networks."""
