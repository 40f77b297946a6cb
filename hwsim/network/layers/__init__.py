# SPDX-License-Identifier: Apache-2.0
"""The layer kinds, one file each."""
