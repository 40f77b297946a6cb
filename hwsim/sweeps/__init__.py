# SPDX-License-Identifier: Apache-2.0
"""Many design points: studies as files, searches, a store, and workers on one machine or many."""
