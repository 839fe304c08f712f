"""The command line `sami2i`: arguments, progress, exit codes; the numbers are made elsewhere."""
