# SPDX-License-Identifier: Apache-2.0
"""Number formats for people: what each is, how its values lie, which one fits given data."""
