# SPDX-License-Identifier: Apache-2.0
"""The ways to a matrix product, the fastest first; the first that is exact for a unit and a depth is taken."""
