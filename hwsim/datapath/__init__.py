# SPDX-License-Identifier: Apache-2.0
"""What a dot-product unit computes: its specification, an oracle in plain integers, and kernels that equal it."""

from hwsim.datapath.accumulate import accumulate_exact, load_exact, output_exact, step_exact
from hwsim.datapath.catalog import comparable, named, names
from hwsim.datapath.evidence import Entry, Evidence
from hwsim.datapath.hardware import entries as hardware_entries
from hwsim.datapath.hardware import entry as hardware_entry
from hwsim.datapath.matmul import matmul
from hwsim.datapath.paths import choose
from hwsim.datapath.phases import matmul_phases
from hwsim.datapath.sparsity import prune
from hwsim.datapath.stream import Row, dot, dot_exact
from hwsim.datapath.unit import (
    CascadedAlignment,
    DotProductUnit,
    ExactAlignment,
    FixedAccumulator,
    FloatAccumulator,
    NanResult,
    PairwiseAlignment,
    Promotion,
    Sparsity,
    TruncatedAlignment,
)

__all__ = [
    "CascadedAlignment",
    "DotProductUnit",
    "Entry",
    "Evidence",
    "ExactAlignment",
    "FixedAccumulator",
    "FloatAccumulator",
    "NanResult",
    "PairwiseAlignment",
    "Promotion",
    "Row",
    "Sparsity",
    "TruncatedAlignment",
    "accumulate_exact",
    "choose",
    "comparable",
    "dot",
    "dot_exact",
    "hardware_entries",
    "hardware_entry",
    "load_exact",
    "matmul",
    "matmul_phases",
    "named",
    "names",
    "output_exact",
    "prune",
    "step_exact",
]
