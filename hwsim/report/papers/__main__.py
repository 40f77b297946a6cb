# SPDX-License-Identifier: Apache-2.0
"""Write the page of the papers' claims: ``python -m hwsim.report.papers docs/papers_beside.md``."""

import sys

from hwsim.report.papers.page import write_page

if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m hwsim.report.papers FILE.md")
    sys.stdout.write(f"{write_page(sys.argv[1])} claims in {sys.argv[1]}\n")
