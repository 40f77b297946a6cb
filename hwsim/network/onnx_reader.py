# SPDX-License-Identifier: Apache-2.0
"""Read an ONNX file into a network."""

import mmap
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError, Message

from hwsim.network.element_types import element_type
from hwsim.network.folding import fold
from hwsim.network.function_bodies import with_bodies
from hwsim.network.fuse import BUILDERS, Fused, fuse
from hwsim.network.graph import Images, Network, TensorSpec
from hwsim.network.layers.qonnx_nodes import DOMAINS as QONNX_DOMAINS
from hwsim.network.node_order import sort_nodes
from hwsim.network.pattern import MAX_AXES
from hwsim.network.raw_nodes import raw_nodes
from hwsim.network.recognition import recognized
from hwsim.network.skeleton import skeleton
from hwsim.network.static_shapes import StaticShapes
from hwsim.network.tensor_files import map_tensors

__all__ = [
    "from_model",
    "load",
    "read",
]

_DOMAINS = {"ai.onnx": ""}


def read(
    path: str | os.PathLike[str], *, batch: int | None = None, dimensions: Mapping[str, int] | None = None
) -> Network:
    """Read an ONNX file.

    Parameters
    ----------
    path : path-like
    batch : int, optional
        Size of a first axis that the file leaves open; 1 unless given. A run may still take any number of images where
        the network keeps them apart (`Network.batchable`): it is read a second time, at another size, to see that.
    dimensions : mapping of str to int, optional
        Sizes of other axes that the file names but does not fix.

    Returns
    -------
    Network

    Raises
    ------
    FileNotFoundError
        Where the file is not there.
    ValueError
        Where it is not ONNX, not valid, uses operators that are not run (all of them are listed), leaves a size open,
        or lacks its external data.

    Examples
    --------
    >>> from hwsim.data import digits_model_path
    >>> for row in read(digits_model_path(quantized=False)).rows()[:3]:
    ...     print(row["name"], row["kind"])
    conv1 conv
    conv1.relu activation
    conv2 conv
    """
    _check_batch(batch)
    file = Path(path)
    model, mapped = load(file)
    try:
        return _read(model, mapped, batch, dict(dimensions or {}), file.stem)
    except ValueError as error:
        raise ValueError(f"{file}: {_line(error)}") from error.__cause__


def from_model(
    model: onnx.ModelProto, *, batch: int | None = None, dimensions: Mapping[str, int] | None = None
) -> Network:
    """Make a network of an ONNX model in memory, which is left as it is; as `read`, in arguments and errors."""
    _check_batch(batch)
    own = onnx.ModelProto()
    own.CopyFrom(model)
    _import_unsupported(own)
    return _read(_checked(own, "this"), {}, batch, dict(dimensions or {}), "model")


def _check_batch(batch: int | None) -> None:
    """Raise unless batch is None or a positive int."""
    if batch is not None and (isinstance(batch, bool) or not isinstance(batch, int)):
        raise TypeError(f"batch must be an int, not {type(batch).__name__}")
    if batch is not None and batch < 1:
        raise ValueError(f"batch must be at least 1, not {batch}")


def load(file: Path) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Parse a file, check it, and inline its own functions; the errors are those of `read`.

    Returns
    -------
    model : onnx.ModelProto
        Its large initializers are inputs.
    mapped : dict of str to ndarray
        Their values, as the pages of the file that holds them.
    """
    if not file.exists():
        raise FileNotFoundError(f"no such model: {file}")
    if not file.is_file():
        raise ValueError(f"{file} is not a file")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(_bytes(file))
    except DecodeError:
        raise ValueError(f"{file} is not an ONNX model: it does not parse as protobuf") from None
    if not model.HasField("graph") or not model.ir_version:
        raise ValueError(f"{file} is not an ONNX model: it has no graph or no version")
    _check_text(model, file)
    mapped = map_tensors(model, file)
    _import_unsupported(model)
    return _checked(model, str(file)), mapped


def _check_text(model: onnx.ModelProto, file: Path) -> None:
    """Raise where a name or another text is not UTF-8, which protobuf hands over as bytes."""
    todo: list[Message] = [model]
    while todo:
        for field, value in todo.pop().ListFields():
            if field.type not in (field.TYPE_STRING, field.TYPE_MESSAGE):
                continue  # numbers and bytes may be many
            parts = [value] if isinstance(value, (str, bytes, Message)) else value
            if field.type == field.TYPE_STRING and any(isinstance(part, bytes) for part in parts):
                raise ValueError(f"{file} is not an ONNX model: a {field.name} is not UTF-8 text")
            todo += [part for part in parts if isinstance(part, Message)]


def _bytes(file: Path) -> bytes:
    """Return a model's file, its large initializers as external data in itself."""
    with file.open("rb") as opened:
        if not file.stat().st_size:
            return b""
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as pages, memoryview(pages) as data:
            return skeleton(data, file.name)


def _checked(model: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """Return a valid model with its nodes in order and its own functions inlined."""
    try:
        sort_nodes(model.graph)
        onnx.checker.check_model(model)
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        model = with_bodies(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise ValueError(f"{label} is not a valid ONNX model: {_line(error)}") from None
    return model


def _import_unsupported(model: onnx.ModelProto) -> None:
    """Import domains that a file uses and does not import.

    Those of QONNX, as its files do, and those of operators that are not run, so that these are listed before.
    """
    for node in model.graph.node:
        if node.op_type == "RequantShift" and node.domain in ("", *_DOMAINS):
            node.domain = "PACTOps"  # QuantLab's files leave the domain out, which no checker takes
    imported = {entry.domain for entry in model.opset_import} | {"", *_DOMAINS}
    local = {(function.domain, function.name) for function in model.functions}
    unsupported = {
        node.domain
        for node in model.graph.node
        if (node.domain, node.op_type) not in local
        and ((node.domain, node.op_type) not in BUILDERS or node.domain in (*QONNX_DOMAINS, "PACTOps"))
    }
    for domain in sorted(unsupported - imported):
        model.opset_import.append(onnx.helper.make_opsetid(domain, 1))


def _read(
    model: onnx.ModelProto, mapped: dict[str, Any], batch: int | None, dimensions: dict[str, int], name: str
) -> Network:
    """Make the network; where the number of images is open, with another number too, to see if it keeps them apart."""
    held = {tensor.name for tensor in model.graph.initializer} | set(mapped)
    first = [info.type.tensor_type.shape.dim[:1] for info in model.graph.input if info.name not in held]
    opened = {dim.dim_param for dims in first for dim in dims if dim.WhichOneof("value") != "dim_value"}
    if not opened - set(dimensions):
        return _network(model, mapped, batch, dimensions, name)
    again = onnx.ModelProto()
    again.CopyFrom(model)
    network = _network(model, mapped, batch, dimensions, name)
    apart = network.batchable and _keeps_images(network, again, mapped, dimensions)
    return replace(network, images=Images.OPEN if batch is None else Images.GIVEN, keeps_images=apart)


def _keeps_images(network: Network, model: onnx.ModelProto, mapped: dict[str, Any], dimensions: dict[str, int]) -> bool:
    """Tell whether a network of another number of images is the same but for that."""
    try:
        other = _network(model, mapped, 2 * network.batch + 1, dimensions, network.name)
    except ValueError:
        return False
    kinds, others = ([(layer.kind, layer.operator) for layer in each.layers] for each in (network, other))
    same = network.constants.keys() == other.constants.keys() and all(
        np.array_equal(value, other.constants[key]) for key, value in network.constants.items()
    )
    return kinds == others and same and other.batchable


def _network(
    model: onnx.ModelProto, mapped: dict[str, Any], batch: int | None, dimensions: dict[str, int], name: str
) -> Network:
    """Fix the shapes, fold the constants, fuse the patterns."""
    held = {tensor.name for tensor in model.graph.initializer} | set(mapped)
    inputs = [info for info in model.graph.input if info.name not in held]
    _fix_shapes(model, inputs, batch, dimensions)
    specs = tuple(_input_spec(info) for info in inputs)
    nodes, constants = fold(model, {}, mapped)
    _check_supported(nodes)
    opsets = {_DOMAINS.get(entry.domain, entry.domain): entry.version for entry in model.opset_import}
    outputs = tuple(info.name for info in model.graph.output)
    raw = raw_nodes(nodes, opsets)
    raw = recognized(raw, constants, outputs, StaticShapes(raw, constants, specs, outputs))
    pattern = Fused(raw, constants, specs, outputs)
    layers, tensors = fuse(pattern)
    for output in outputs:
        if output not in tensors and output not in constants:
            constants[output] = pattern.plain(output).values
    if not inputs:
        raise ValueError("the graph has no input")
    return Network(
        name=model.graph.name or name,
        layers=layers,
        inputs=specs,
        outputs=tuple(_output_spec(output, tensors, constants) for output in outputs),
        tensors=tensors,
        constants={output: constants[output] for output in outputs if output in constants},
    )


def _fix_shapes(
    model: onnx.ModelProto, inputs: list[onnx.ValueInfoProto], batch: int | None, dimensions: dict[str, int]
) -> None:
    """Give every axis of every input a size, and forget shapes inferred before."""
    _check_dimensions(inputs, dimensions)
    sizes = dict(dimensions)
    unknown = []
    for info in inputs:
        if info.type.WhichOneof("value") != "tensor_type" or not info.type.tensor_type.HasField("shape"):
            raise ValueError(f"input {info.name!r} must be a tensor with a known number of axes")
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            if dim.WhichOneof("value") == "dim_value":
                if axis == 0 and batch is not None and dim.dim_value != batch:
                    raise ValueError(f"input {info.name!r} has a batch of {dim.dim_value} in the file, not {batch}")
                continue
            if axis == 0 and dim.dim_param not in sizes:
                size = batch or 1
                if dim.dim_param:
                    sizes[dim.dim_param] = size
            elif dim.dim_param in sizes:
                size = sizes[dim.dim_param]
            else:
                unknown.append(f"axis {axis} ({dim.dim_param or 'unnamed'}) of input {info.name!r}")
                continue
            dim.Clear()
            dim.dim_value = size
    if unknown:
        raise ValueError(f"sizes are open: {', '.join(unknown)}; give them by name in `dimensions`")
    for output in model.graph.output:
        for dim in output.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.Clear()
    del model.graph.value_info[:]


def _check_dimensions(inputs: list[onnx.ValueInfoProto], dimensions: dict[str, int]) -> None:
    """Raise unless each dimension is one that an input has, and its size a positive int."""
    shapes = [info.type.tensor_type.shape for info in inputs]
    known = sorted({dim.dim_param for shape in shapes for dim in shape.dim if dim.dim_param})
    for name, size in dimensions.items():
        if isinstance(size, bool) or not isinstance(size, int):
            raise TypeError(f"dimension {name!r} must be an int, not {type(size).__name__}")
        if size < 1:
            raise ValueError(f"dimension {name!r} must be at least 1, not {size}")
        if name not in known:
            there = (
                f"those that its inputs leave open are {', '.join(known)}" if known else "its inputs leave none open"
            )
            raise ValueError(f"no input has a dimension {name!r}: {there}")


def _check_supported(nodes: list[onnx.NodeProto]) -> None:
    """Raise one error that lists every node that no layer runs."""
    wrong = []
    for node in nodes:
        domain = _DOMAINS.get(node.domain, node.domain)
        if (domain, node.op_type) not in BUILDERS:
            label = node.name or (node.output[0] if node.output else "")
            wrong.append(f"{label!r} ({domain + '::' if domain else ''}{node.op_type})")
    if wrong:
        raise ValueError(f"{len(wrong)} node(s) of operators that are not run: {', '.join(wrong)}")


def _input_spec(info: onnx.ValueInfoProto) -> TensorSpec:
    """Return the spec of an input whose shape is fixed."""
    tensor = info.type.tensor_type
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    kind = element_type(tensor.elem_type)
    if kind.name == "STRING":
        raise ValueError(f"input {info.name!r} must be of numbers or bools, not strings")
    dtype = kind.layer_name
    if min(shape, default=1) < 1 or len(shape) > MAX_AXES:
        raise ValueError(f"input {info.name!r} must have at most {MAX_AXES} axes of positive sizes, not {shape}")
    return TensorSpec(name=info.name, shape=shape, dtype=dtype)


def _output_spec(name: str, tensors: dict[str, TensorSpec], constants: dict[str, Any]) -> TensorSpec:
    """Return the spec of an output."""
    if name in tensors:
        return tensors[name]
    value = np.asarray(constants[name])
    return TensorSpec(name=name, shape=value.shape, dtype=value.dtype.name)


def _line(error: Exception) -> str:
    """Return an error's message on one line, without what is put around it for programmers."""
    parts = [part.strip() for part in str(error).splitlines() if part.strip()]
    return " ".join(part for part in parts if not part.startswith("==>"))[:500] or type(error).__name__
