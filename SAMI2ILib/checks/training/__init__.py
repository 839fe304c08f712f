"""How the classifiers of the input checks are set and tested; see `__main__`."""
