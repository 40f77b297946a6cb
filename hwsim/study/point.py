# SPDX-License-Identifier: Apache-2.0
"""A design point: all that is varied where designs are compared."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Any, Self

from hwsim import datapath
from hwsim.datapath import DotProductUnit
from hwsim.study.units import own_name, resolved

__all__ = [
    "DEFAULT_ACCELERATOR",
    "FASTEST",
    "DesignPoint",
    "Setting",
    "Settings",
    "canonical",
]

Setting = int | float | str | bool
Settings = tuple[tuple[str, Setting], ...]
DEFAULT_ACCELERATOR = "mxfp4_4x4"
FASTEST = "fastest"
"""As the setting ``clock_mhz``: the fastest whole MHz that unit, with wires, and memories reach (`docs/sweep.md`)."""
_PLACES = ("unit", "technology", "name")  # fields of the point, or not of the design


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignPoint:
    """A format on a unit, in an array of an accelerator, in a technology, running a network.

    Parameters
    ----------
    network : str
        The name of a `hwsim.study.Case`.
    format : str
        As it was asked for: a format, ``A_by_B`` (activations by weights), or a unit's name.
    unit : str
        What `hwsim.datapath.named` makes the unit of.
    accelerator : str
        A preset, or an accelerator that the case holds the TOML of.
    technology : str
        Of `cost_models.technologies.names`: standard cells or an FPGA.
    settings : tuple of (str, int, float, str or bool), or a mapping
        What differs from the accelerator's TOML, by dotted key (``array.rows``, ``pipeline``, ``clock_mhz``, which may
        be ``"fastest"``); and ``quantization.`` keys, fields of `hwsim.quantization.Recipe`: with one of them, the
        network is quantized first and the quantized network runs. Kept sorted by key.

    Raises
    ------
    TypeError, ValueError
        For a name that is no text or empty, a setting of another kind or not finite, and a key that is twice there or
        has another place (``unit``, ``technology``).

    Examples
    --------
    >>> point = DesignPoint.of("mxfp4", settings={"clock_mhz": "fastest", "array.rows": 8})
    >>> point.unit
    'mxfp4_l16_float32'
    >>> point.settings
    (('array.rows', 8), ('clock_mhz', 'fastest'))
    """

    network: str = "digits"
    format: str
    unit: str
    accelerator: str = DEFAULT_ACCELERATOR
    technology: str = "asap7"
    settings: Settings = ()

    def __post_init__(self) -> None:
        for each in fields(self)[:-1]:
            value = getattr(self, each.name)
            if not isinstance(value, str):
                raise TypeError(f"{each.name} must be a str, not {value!r}")
            if not value:
                raise ValueError(f"{each.name} must not be empty")
        given = self.settings.items() if isinstance(self.settings, Mapping) else self.settings
        object.__setattr__(self, "settings", _settings(tuple(given)))

    @classmethod
    def of(
        cls,
        format: str,
        *,
        lanes: int = 16,
        accumulator: str | None = None,
        network: str = "digits",
        accelerator: str = DEFAULT_ACCELERATOR,
        technology: str = "asap7",
        settings: Mapping[str, Setting] | Settings = (),
    ) -> Self:
        """Return the point of a format's unit.

        Parameters
        ----------
        format : str
            A format: its `hwsim.datapath.comparable` unit, or that of another `accumulator`; else the name of a unit
            (``int4_by_int8``, ``hopper_e4m3_e4m3_float32``), whose lanes and register are its own where it names them.
        lanes : int
            Products a step.
        accumulator : str, optional
            A register as units' names spell it: ``int20``, ``fixed49``, ``float32``, ``float16_e6m9``.
        network, accelerator, technology, settings
            Of the point.

        Raises
        ------
        KeyError
            For unknown formats and units; the message has the close matches.
        TypeError, ValueError
            Where the parts do not go together, and as the class.

        Examples
        --------
        >>> DesignPoint.of("mxfp4").unit
        'mxfp4_l16_float32'
        >>> DesignPoint.of("int8", lanes=4, accumulator="int20", settings={"array.rows": 8}).settings
        (('array.rows', 8),)
        """
        unit = resolved(format, lanes, accumulator)
        given = settings if isinstance(settings, tuple) else tuple(settings.items())
        return cls(
            network=network,
            format=format,
            unit=own_name(unit, format),
            accelerator=accelerator,
            technology=technology,
            settings=given,
        )

    @property
    def dot_product_unit(self) -> DotProductUnit:
        """The unit, of `hwsim.datapath.named`; KeyError or ValueError where there is none of that name."""
        return datapath.named(self.unit)

    def setting(self, key: str, default: Any = None) -> Any:
        """Return a setting, or the default where the accelerator's own holds."""
        return dict(self.settings).get(key, default)

    def with_settings(self, **changes: Setting) -> Self:
        """Return the point with other settings; dots in their keys are written ``__``: ``array__rows=8``."""
        changed = {key.replace("__", "."): value for key, value in changes.items()}
        return replace(self, settings=tuple((dict(self.settings) | changed).items()))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values; settings by key."""
        return {**{each.name: getattr(self, each.name) for each in fields(self)}, "settings": dict(self.settings)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the point that `as_dict` gave."""
        return cls(**{**values, "settings": tuple(dict(values.get("settings", {})).items())})


def canonical(value: Any) -> str:
    """Return JSON that is the same wherever the value is: keys sorted, no spaces, floats as Python writes them."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _settings(given: tuple[Any, ...]) -> Settings:
    """Return settings sorted by key, or raise."""
    for each in given:
        if not (isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], str)):
            raise TypeError(f"settings must be pairs of a dotted key and a value, not {each!r}")
        key, value = each
        if not isinstance(value, int | float | str):
            raise TypeError(f"setting {key!r} must be an int, a float, a str or a bool, not {value!r}")
        if isinstance(value, float) and not isfinite(value):
            raise ValueError(f"setting {key!r} must be finite, not {value!r}")
        if key in _PLACES:
            raise ValueError(f"{key!r} is no setting: give the point's own {key}")
    keys = [key for key, _ in given]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"setting {twice[0]!r} is twice there")
    return tuple(sorted(given))
