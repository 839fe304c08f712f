"""Custom weights: configuration, slices, augmentation, the loop and the model files it ends in."""
