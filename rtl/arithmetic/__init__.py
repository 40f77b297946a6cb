# SPDX-License-Identifier: Apache-2.0
"""Small arithmetic that the stages share."""
