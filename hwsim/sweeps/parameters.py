# SPDX-License-Identifier: Apache-2.0
"""The parameters of a study: their keys and values checked one by one, before any point is made of them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import lru_cache
from math import isfinite
from typing import Any

import cost_models
from cost_models import memory
from hwsim import accelerator as accelerators
from hwsim import formats
from hwsim.accelerator import keys as accelerator_keys
from hwsim.datapath import named
from hwsim.quantization import Recipe
from hwsim.study.point import FASTEST, Setting
from hwsim.study.toml_checks import check_name
from hwsim.study.units import resolved
from hwsim.sweeps.space import DEFAULT, NAMED

__all__ = [
    "Machines",
    "Names",
    "flattened",
    "parameters",
    "preset_machines",
]

Machines = Mapping[str, tuple[str, str]]
"""The TOML text of accelerators by name, and what to call it in errors."""
_QUANTIZATION = "quantization."
_RECIPE = tuple(each.name for each in fields(Recipe) if each.name != "layers")
_TOGETHER: dict[str, dict[str, Setting]] = {"array.depth": {"array.dataflow": "cube"}}  # what widens a key's bounds
_WITH_OTHERS: dict[str, dict[str, Any]] = {"act_order": {"gptq": True}}  # what a value alone cannot go without


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What names a study's values may be: its networks and the built-in one, its accelerators and the presets."""

    networks: Collection[str]
    machines: Machines


def parameters(table: Mapping[str, Any], names: Names, where: str) -> dict[str, tuple[Setting, ...]]:
    """Check a table of parameters.

    Parameters
    ----------
    table : mapping
        Values or lists of values by parameter; dotted keys in quotes, or as tables in tables.
    names : Names
    where : str
        File and table, for errors.

    Returns
    -------
    dict of str to tuple
        The values of each parameter, in the table's order.

    Raises
    ------
    TypeError, ValueError
        For an unknown parameter, an empty list, a value of the wrong kind, a misspelt one, and one that is twice
        there; with the place, the value and close matches. What depends on other parameters (a memory that is too
        small, lanes that do not divide a block) is told of the points.
    """
    found = {}
    for key, given in flattened(table, where):
        place = f"{where}.{key}"
        values = given if isinstance(given, list) else [given]
        if not values:
            raise ValueError(f"{place} must have at least one value, not []")
        check = _check_of(key, names, where)
        for index, value in enumerate(values):
            at = f"{place}[{index}]" if isinstance(given, list) else place
            _check_value(check, value, at)
            if any(value == other and type(value) is type(other) for other in values[:index]):
                raise ValueError(f"{at} must be another value, for {value!r} is in the list before")
        found[key] = tuple(values)
    return found


def flattened(table: Mapping[str, Any], where: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Go through a table's values by dotted key, tables in it gone into; raises for a key that is there twice."""
    seen = set()
    for name, value in table.items():
        key = f"{prefix}{name}"
        for full, each in flattened(value, where, f"{key}.") if isinstance(value, dict) else [(key, value)]:
            if full in seen:
                raise ValueError(f"{where}.{full} must be given once, and is there in quotes and as a table")
            seen.add(full)
            yield full, each


def _check_value(check: Callable[[Any], object], value: Any, where: str) -> None:
    """Raise for a value that is none, with its place before what is wrong."""
    if not isinstance(value, int | float | str):
        raise TypeError(f"{where} must be a number, a text, true or false, not {value!r}")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{where} must be finite, not {value!r}")
    try:
        check(value)
    except (LookupError, OSError, TypeError, ValueError) as error:
        message = str(error.args[0]) if isinstance(error, LookupError) else str(error)
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{where}: {message}") from None


def _check_of(key: str, names: Names, where: str) -> Callable[[Any], object]:
    """Return what checks a value of a parameter; raise for a parameter that there is not."""
    if key in NAMED:
        return _named_check(key, names)
    if key.startswith(_QUANTIZATION):
        field = key.removeprefix(_QUANTIZATION)
        if field not in _RECIPE:
            _unknown(key, [_QUANTIZATION + each for each in _RECIPE], where)
        return lambda value: _check_recipe(field, value)
    known = tuple(each for each in accelerator_keys() if each != "name")
    if key not in known:
        _unknown(key, [*NAMED, *known, *(_QUANTIZATION + each for each in _RECIPE)], where)
    return lambda value: _check_setting(key, value, names.machines)


def _unknown(key: str, known: Sequence[str], where: str) -> None:
    """Raise for an unknown parameter."""
    ends = {each.rsplit(".", 1)[-1]: each for each in known}
    close = [*get_close_matches(key, known, n=3), *(ends[end] for end in get_close_matches(key, ends, n=2))]
    hint = f"did you mean {', '.join(dict.fromkeys(close))}?" if close else (
        f"there are {', '.join(NAMED)}, the keys of an accelerator's file (docs/accelerators.md) and quantization.*"
    )  # fmt: skip
    raise ValueError(f"{where}: unknown parameter {key!r}; {hint}")


def _named_check(key: str, names: Names) -> Callable[[Any], object]:
    """Return what checks a value of a parameter that has a name of its own."""
    known: dict[str, tuple[Collection[str], str]] = {
        "network": (names.networks, "a network of the study"),
        "technology": (cost_models.technologies.names(), "a technology"),
        "accelerator": (names.machines, "a preset or an accelerator of the study"),
    }
    if key in known:
        return lambda value: check_name(value, *known[key], key)
    checks: dict[str, Callable[[Any], object]] = {
        "format": resolved, "unit": named, "lanes": _check_lanes, "accumulator": _check_accumulator
    }  # fmt: skip
    return checks[key]


def _check_lanes(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"lanes must be an int, not {value!r}")
    if value < 1:
        raise ValueError(f"lanes must be at least 1, not {value}")


def _check_accumulator(value: Any) -> None:
    """Raise for a register that no unit of one or the other kind has."""
    if not isinstance(value, str):
        raise TypeError(f"accumulator must be a str, not {value!r}")
    if value == DEFAULT:
        return
    for name in ("int8", "float8_e4m3fn"):
        try:
            if named(f"{name}_{value}").a == formats.named(name):
                return
        except KeyError:
            pass
        except ValueError:  # a register that this format does not fit: the points say so
            return
    raise ValueError(
        f"accumulator must be {DEFAULT}, int or fixed and a number of bits, float32, float16, bfloat16, "
        f"float16_e6m9 or the like, not {value!r}"
    )


def _check_recipe(field: str, value: Any) -> None:
    if value != DEFAULT:
        Recipe(**{**_WITH_OTHERS.get(field, {}), field: value})


def _check_setting(key: str, value: Any, machines: Machines) -> None:
    """Raise for a value that a key cannot have in any of the accelerators."""
    if value == DEFAULT or (key == "clock_mhz" and value == FASTEST):
        return
    own = f": {key.rpartition('.')[2]} must be "  # an error of the key's own bounds, and no longer key before it
    bounds = []
    for others in ({}, _TOGETHER.get(key, {})):
        for text, where in machines.values():
            try:
                accelerators.read_text(text, where, changes={**others, key: value})
            except (TypeError, accelerators.UnknownNameError) as error:
                raise type(error)(str(error).removeprefix(f"{where}: ")) from None
            except ValueError as error:  # beside other keys, which may be changed too, the points say so
                _, found, bound = str(error).rpartition(own)
                bounds.append((own + bound)[2:] if found else "")
            else:
                bounds.append("")
    if all(bounds):
        raise ValueError(bounds[-1])
    lookups: dict[str, Callable[[str], object]] = {
        "memory.preset": memory.preset, "memory.dram.kind": memory.dram, "memory.wire.name": _check_wire
    }  # fmt: skip
    if key in lookups:
        lookups[key](value)


def _check_wire(name: str) -> None:
    if name != "technology":
        memory.wire(name)


@lru_cache(maxsize=1)
def preset_machines() -> dict[str, tuple[str, str]]:
    """Return the TOML text of the presets."""
    return {name: accelerators.toml_text(name) for name in accelerators.presets()}
