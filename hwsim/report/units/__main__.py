# SPDX-License-Identifier: Apache-2.0
"""Write the pages of all units: ``python -m hwsim.report.units docs/units``."""

import sys

from hwsim.report.units.pages import write_pages

if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m hwsim.report.units FOLDER")
    count, gone = write_pages(sys.argv[1])
    sys.stdout.write(f"{count} files in {sys.argv[1]}" + (f"; deleted {', '.join(gone)}\n" if gone else "\n"))
