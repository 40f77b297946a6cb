# SPDX-License-Identifier: Apache-2.0
"""Large tensors of an ONNX file left where they are: mapped to memory, not read."""

import mmap
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import Message
from onnx import helper

__all__ = [
    "MAPPED_BYTES",
    "map_tensors",
    "mapped_arrays",
    "release",
]

Array = npt.NDArray[Any]

MAPPED_BYTES = 1 << 16
"""Tensors of so many bytes or more are mapped; smaller ones are read, as shapes may be inferred from them."""
_DEPTH = 64  # of views upon views: more is no array of ours
# Bits of an element in a file where these are packed (ONNX IR specification, onnx.proto, TensorProto.raw_data)
_PACKED_BITS: dict[int, int] = {
    onnx.TensorProto.UINT4: 4,
    onnx.TensorProto.INT4: 4,
    onnx.TensorProto.FLOAT4E2M1: 4,
    onnx.TensorProto.UINT2: 2,
    onnx.TensorProto.INT2: 2,
    onnx.TensorProto.FLOAT6E2M3: 6,
    onnx.TensorProto.FLOAT6E3M2: 6,
}


class _Place(NamedTuple):
    """Where the bytes of a tensor are."""

    path: Path
    offset: int
    length: int


def map_tensors(model: onnx.ModelProto, file: Path) -> dict[str, Array]:
    """Map the large external initializers of a model, and read all other external tensors into their messages.

    Parameters
    ----------
    model : onnx.ModelProto
        Changed: a mapped initializer becomes an input of its type and shape, by which checks and shapes see it.
    file : path
        Of the model: locations are relative to its folder.

    Returns
    -------
    dict of str to ndarray
        The mapped tensors by name; not to be written to. Those of packed elements (of 2, 4, 6 bits) are read.

    Raises
    ------
    ValueError
        Before any is read, where files are missing (all are listed), lie outside the model's folder, or do not have the
        bytes of a tensor.
    """
    _check(_tensors(model), file)
    graph = model.graph
    declared = {info.name for info in graph.input}
    found: dict[str, Array] = {}
    for index in reversed(range(len(graph.initializer))):
        tensor = graph.initializer[index]
        place = _place(tensor, file) if tensor.data_location == onnx.TensorProto.EXTERNAL else None
        if place is None or place.length < MAPPED_BYTES or tensor.data_type in _PACKED_BITS:
            continue
        found[tensor.name] = _mapped(tensor, place)
        if tensor.name not in declared:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        del graph.initializer[index]
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _read(tensor, _place(tensor, file))
    return found


def release(array: Array) -> None:
    """Give back the memory that the pages of a mapped tensor take; they are read again where they are needed."""
    pages = _pages(array)
    if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def mapped_arrays(value: Any) -> Iterator[Array]:
    """Give the arrays in the fields of a layer that are mapped."""
    if isinstance(value, np.ndarray):
        if _pages(value) is not None:
            yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from mapped_arrays(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from mapped_arrays(getattr(value, field.name))


def _pages(array: Array) -> mmap.mmap | None:
    """Return the pages that an array is a view of, or None."""
    base: Any = array
    for _ in range(_DEPTH):
        if isinstance(base, mmap.mmap):
            return base
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return None


def _tensors(message: Message) -> list[onnx.TensorProto]:
    """Every tensor in a message, those of attributes and subgraphs included."""
    if isinstance(message, onnx.TensorProto):
        return [message]
    found = []
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        # protobuf 7 has no `label`: a repeated field iterates, a single message does not
        parts = [value] if isinstance(value, Message) else list(value)
        for part in parts:
            if isinstance(part, Message):
                found += _tensors(part)
    return found


def _check(tensors: list[onnx.TensorProto], file: Path) -> None:
    """Raise unless the data of every external tensor is where it should be."""
    external = [tensor for tensor in tensors if tensor.data_location == onnx.TensorProto.EXTERNAL]
    labels = [f"{_location(tensor)!r} of tensor {tensor.name!r}" for tensor in external]
    missing = {
        label for tensor, label in zip(external, labels, strict=True) if not _is_there(file.parent, _location(tensor))
    }
    if missing:
        raise ValueError(f"{file}: external data is missing: {', '.join(sorted(missing))}")
    for tensor, label in zip(external, labels, strict=True):
        try:
            _place(tensor, file)
        except ValueError as error:
            raise ValueError(f"{file}: external data {label} cannot be read: {error}") from None


def _is_there(folder: Path, location: str) -> bool:
    """Tell whether a location is a file."""
    try:
        return location != "" and (folder / location).is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False


def _location(tensor: onnx.TensorProto) -> str:
    """Return the name of an external tensor's file; "" where none is given."""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _place(tensor: onnx.TensorProto, file: Path) -> _Place:
    """Return where an external tensor is; ValueError where that is not so much of a file in the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    path = file.parent / entries["location"]
    if path != file and not path.resolve().is_relative_to(file.parent.resolve()):
        raise ValueError("it lies outside the model's folder")
    try:
        itemsize = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    except KeyError:
        raise ValueError(f"element type {tensor.data_type} is unknown") from None
    if tensor.data_type == onnx.TensorProto.STRING or min(tensor.dims, default=0) < 0:
        raise ValueError(f"strings and negative sizes have no raw data, shape {list(tensor.dims)}")
    bits = _PACKED_BITS.get(tensor.data_type, 8 * itemsize)
    size, needed = path.stat().st_size, -(-prod(tensor.dims) * bits // 8)
    try:
        offset = int(entries.get("offset") or 0)
        length = int(entries.get("length") or size - offset)
    except ValueError:
        raise ValueError("offset and length must be numbers") from None
    if offset < 0 or length != needed or offset + length > size:
        raise ValueError(
            f"shape {list(tensor.dims)} needs {needed} bytes, not the {length} from {offset} on of a file of {size}"
        )
    return _Place(path, offset, length)


def _mapped(tensor: onnx.TensorProto, place: _Place) -> Array:
    """Return a tensor as its file's pages."""
    begin = place.offset - place.offset % mmap.ALLOCATIONGRANULARITY
    with place.path.open("rb") as opened:
        pages = mmap.mmap(opened.fileno(), place.offset + place.length - begin, access=mmap.ACCESS_READ, offset=begin)
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    array = np.frombuffer(pages, dtype, prod(tensor.dims), place.offset - begin)
    return array.reshape(tuple(tensor.dims))


def _read(tensor: onnx.TensorProto, place: _Place) -> None:
    """Read an external tensor into its message."""
    with place.path.open("rb") as opened:
        opened.seek(place.offset)
        tensor.raw_data = opened.read(place.length)
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]
