# SPDX-License-Identifier: Apache-2.0
"""Units for people: what each is made of, what it computes, and where two of them part."""
