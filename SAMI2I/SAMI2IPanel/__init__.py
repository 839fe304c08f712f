"""The Slicer side of SAM-I2I: what the panel shows and how it runs the library."""
