# SPDX-License-Identifier: Apache-2.0
"""Put what `hwsim catalog build` measured into the package's tables, for a release.

python -m benchmarks.ship_catalog [TECHNOLOGY ...]          # after: hwsim catalog build
python -m benchmarks.ship_catalog asap7 --add               # rows that were not measured anew stay as they are
"""

import argparse
from collections.abc import Iterable
from typing import Any

from hwsim.catalog import plan, ship_table

__all__ = [
    "main",
]


def main(arguments: Iterable[str] | None = None) -> None:
    """Write the tables of the technologies asked for, without any those of the plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("technologies", nargs="*", metavar="TECHNOLOGY")
    parser.add_argument("--add", action="store_true", help="keep rows that were not measured, if their RTL is today's")
    chosen: Any = parser.parse_args(None if arguments is None else list(arguments))
    for technology in dict.fromkeys(row.technology for row in plan(chosen.technologies or None)):
        print(ship_table(technology, add=chosen.add))


if __name__ == "__main__":
    main()
