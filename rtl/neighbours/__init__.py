# SPDX-License-Identifier: Apache-2.0
"""What stands between matrix products in hardware: quantizers, requantizers, softmax, GELU, layer norm, Hadamard."""
