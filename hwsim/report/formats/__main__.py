# SPDX-License-Identifier: Apache-2.0
"""Write the pages of all formats: ``python -m hwsim.report.formats docs/formats``."""

import sys

from hwsim.report.formats.pages import write_pages

if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m hwsim.report.formats FOLDER")
    count, gone = write_pages(sys.argv[1])
    sys.stdout.write(f"{count} files in {sys.argv[1]}" + (f"; deleted {', '.join(gone)}\n" if gone else "\n"))
