"""Compare two finished runs: python scripts/compare_runs.py results/a results/b [--csv differences.csv].

The same as ``rareneurons compare``. Exit status as diff's: 0 if nothing is listed, 1 if something is, 2 after an error.
"""

import sys

from rareneurons.command_line import main

sys.exit(main(["compare", *sys.argv[1:]]))
