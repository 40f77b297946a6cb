# SPDX-License-Identifier: Apache-2.0
"""Put what `hwsim catalog build` measured into the package's tables, for a release.

python -m benchmarks.ship_catalog          # after: hwsim catalog build
"""

import argparse

from hwsim.catalog import plan, ship_table

__all__ = [
    "main",
]


def main() -> None:
    """Write the table of every technology of the plan."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for technology in dict.fromkeys(row.technology for row in plan()):
        print(ship_table(technology))


if __name__ == "__main__":
    main()
