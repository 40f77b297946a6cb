# SPDX-License-Identifier: Apache-2.0
"""Proofs about Verilog: equivalence by SAT, compressor trees by algebra, handshakes by bounded model checking."""
