# SPDX-License-Identifier: Apache-2.0
"""The digits network that the package ships, and its images."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "digits_calibration",
    "digits_model_path",
    "digits_test",
]

_FOLDER = Path(__file__).parent


def digits_model_path(quantized: bool) -> Path:
    """
    Return the path of the digits network.

    A convolutional network of three 3x3 convolutions (8, 16 and 32 channels, each with Relu), two 2x2 poolings and one
    matrix product; its ``input`` is float32 (batch, 1, 8, 8) in [0, 1], its ``output`` float32 logits (batch, 10).

    Parameters
    ----------
    quantized : bool
        The int8 network in QDQ form (weights symmetric with a scale an output channel, activations with a zero point,
        int32 biases) rather than the float32 one.

    Returns
    -------
    Path
        Of an ONNX file of opset 17.

    Source
    ------
    Made by ``examples/train_digits.py``. The images are ``sklearn.datasets.load_digits``, the test part of "Optical
    Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998), UCI Machine Learning Repository,
    https://doi.org/10.24432/C50P49, licence CC BY 4.0; retrieved 2026-11-22 with scikit-learn 1.9.1.
    """
    return _FOLDER / ("digits_int8.onnx" if quantized else "digits.onnx")


def digits_test() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """
    Return the images that the digits network was not trained on.

    Returns
    -------
    images : ndarray of float32, shape (360, 1, 8, 8)
        Grey levels in [0, 1] in steps of 1/16; 36 images of each digit.
    labels : ndarray of int64, shape (360,)
        The digits they show, in [0, 10).
    """
    with np.load(_FOLDER / "digits_test.npz") as arrays:
        return arrays["images"], arrays["labels"]


def digits_calibration() -> NDArray[np.float32]:
    """
    Return training images, for choosing the scales of a quantized network.

    Returns
    -------
    ndarray of float32, shape (300, 1, 8, 8)
        Grey levels in [0, 1] in steps of 1/16; none of them is in `digits_test`.
    """
    with np.load(_FOLDER / "digits_test.npz") as arrays:
        calibration: NDArray[np.float32] = arrays["calibration"]
        return calibration
