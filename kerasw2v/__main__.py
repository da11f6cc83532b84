"""Makes `python -m kerasw2v` the same as `kerasw2v`."""

import sys

from kerasw2v.cli import main

if __name__ == "__main__":
    sys.exit(main())
