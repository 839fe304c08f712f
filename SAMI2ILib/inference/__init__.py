"""From a volume to a volume: devices, model loading, prediction, provenance."""
