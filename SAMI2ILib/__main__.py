"""`python -m SAMI2ILib` is the command line `sami2i`."""

import sys

from SAMI2ILib.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
