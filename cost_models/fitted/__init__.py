# SPDX-License-Identifier: Apache-2.0
"""Costs of units that nobody has measured: fitted on the measured ones, with errors on formats held out."""

from cost_models.fitted.features import features
from cost_models.fitted.model import Estimated, Model, NotFittedError, Prediction, fit
from cost_models.fitted.quantities import Row, row_of, rows_of
from cost_models.fitted.shipped import load, predict_cost
from cost_models.fitted.validation import Errors, HeldOut, held_out_formats, held_out_kinds

__all__ = [
    "Errors",
    "Estimated",
    "HeldOut",
    "Model",
    "NotFittedError",
    "Prediction",
    "Row",
    "features",
    "fit",
    "held_out_formats",
    "held_out_kinds",
    "load",
    "predict_cost",
    "row_of",
    "rows_of",
]
