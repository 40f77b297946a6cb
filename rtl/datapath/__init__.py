# SPDX-License-Identifier: Apache-2.0
"""The stages of a dot-product unit, and the unit."""
