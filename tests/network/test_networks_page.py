# SPDX-License-Identifier: Apache-2.0
"""The page on networks: its table is the reader's."""

import re
from pathlib import Path

from hwsim.network.fuse import BUILDERS

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"


def listed() -> list[str]:
    table = PAGE.read_text().split("## Operators of the standard")[1].split("\n\nAn operator")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ")][1:]
    text = re.sub(r": \[.*?\]\(.*?\)|\([^)]*\)", "", ",".join(rows))
    return [name.strip() for name in text.split(",") if name.strip()]


def test_networks_page_lists_every_operator_once() -> None:
    names = listed()
    assert sorted(names) == sorted(set(names))
    assert set(names) == {operator for domain, operator in BUILDERS if domain == ""}
    assert len(names) >= 140
