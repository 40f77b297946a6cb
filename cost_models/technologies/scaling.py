# SPDX-License-Identifier: Apache-2.0
"""Published factors between process nodes: a cross-check only, never mixed into a price.

Source: A. Stillmaker and B. Baas, "Scaling equations for the accurate prediction of CMOS device performance from 180
nm to 7 nm", Integration, the VLSI Journal 58 (2017) 74-81, doi 10.1016/j.vlsi.2017.02.002; the numbers as they are
coded in hwcomponents, scaling/techscaling.py. Tables of other authors differ from them by factors of 3 to 5
(docs/technologies.md).
"""

__all__ = [
    "area_factor",
    "energy_factor",
]

# Node in nm: a, b, c of the energy ``a V**2 + b V + c``, in units that cancel.
_ENERGY = {
    130: (7.171, -6.709, 2.904),
    90: (4.762, -4.781, 2.092),
    65: (3.755, -4.398, 1.975),
    45: (1.103, -0.362, 0.2767),
    32: (0.9559, -0.7823, 0.471),
    20: (0.373, -0.1582, 0.04104),
    16: (0.2958, -0.1241, 0.03024),
    14: (0.2363, -0.09675, 0.02239),
    10: (0.2068, -0.09311, 0.02375),
    7: (0.1776, -0.09097, 0.02447),
}
_AREA = {
    (130, 45): 0.16,
    (90, 45): 0.35,
    (65, 45): 0.66,
    (45, 32): 0.46,
    (45, 16): 0.19,
    (45, 7): 0.059,
    (32, 7): 0.13,
    (16, 7): 0.31,
}
_VOLTAGES = (0.5, 1.3)  # beyond, a polynomial of the second degree says nothing


def energy_factor(from_nm: float, to_nm: float, from_v: float = 0.8, to_v: float = 0.8) -> float:
    """
    Energy of an operation at node `to_nm` and `to_v`, over that at `from_nm` and `from_v`.

    Parameters
    ----------
    from_nm, to_nm : float
        Nodes of the table: 130, 90, 65, 45, 32, 20, 16, 14, 10, 7.
    from_v, to_v : float, default 0.8
        Supply voltages in V, 0.5 to 1.3.

    Raises
    ------
    ValueError
        A node or a voltage outside the table.

    Source
    ------
    Stillmaker and Baas 2017, equations and tables of energy.
    """
    return _energy(to_nm, to_v) / _energy(from_nm, from_v)


def area_factor(from_nm: float, to_nm: float) -> float:
    """
    Area at node `to_nm` over that at `from_nm`: the published pairs, their inverses, and chains of them.

    Parameters
    ----------
    from_nm, to_nm : float
        Nodes of the pairs: 130, 90, 65, 45, 32, 16, 7.

    Returns
    -------
    float
        A published factor has two digits. A pair that is not published goes over 45 nm.

    Raises
    ------
    ValueError
        A node outside the table.

    Source
    ------
    Stillmaker and Baas 2017, table of area factors.
    """
    known = sorted({node for pair in _AREA for node in pair}, reverse=True)
    for node in (from_nm, to_nm):
        if node not in known:
            raise ValueError(f"node must be one of {', '.join(map(str, known))} nm, not {node!r}")
    if from_nm == to_nm:
        return 1.0
    if (from_nm, to_nm) in _AREA:
        return _AREA[int(from_nm), int(to_nm)]
    if (to_nm, from_nm) in _AREA:
        return 1 / _AREA[int(to_nm), int(from_nm)]
    return area_factor(from_nm, 45) * area_factor(45, to_nm)


def _energy(node_nm: float, voltage_v: float) -> float:
    """Evaluate the polynomial of a node."""
    if node_nm not in _ENERGY:
        raise ValueError(f"node must be one of {', '.join(map(str, _ENERGY))} nm, not {node_nm!r}")
    low, high = _VOLTAGES
    if not low <= voltage_v <= high:
        raise ValueError(f"voltage must be {low} V to {high} V, not {voltage_v!r}")
    a, b, c = _ENERGY[int(node_nm)]
    return a * voltage_v**2 + b * voltage_v + c
