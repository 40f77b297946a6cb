# SPDX-License-Identifier: Apache-2.0
"""Units in styles of their own: bit slices, mixed precision, several precisions at once."""
