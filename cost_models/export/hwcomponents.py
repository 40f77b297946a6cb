# SPDX-License-Identifier: Apache-2.0
"""hwcomponents: Python source with a component class for each unit, for version 1.0 of the library."""

from collections.abc import Sequence

from cost_models.export.figures import Figures, file_stem, identifier, number

__all__ = [
    "hwcomponents",
]

_TOP = '''"""{title}

Made by hwsim for hwcomponents 1.0 (github.com/Accelergy-Project/hwcomponents). Energy in J, area in m2, leakage in W,
latency in s, throughput in actions/s. Energies of actions are without leakage, which `leak_power` has.
"""

from hwcomponents import ActionCost, ComponentModel, action
'''
_CLASS = '''

class {name}(ComponentModel):
    """
{notes}
    """

    component_name = ["{identifier}_{technology}", "{name}"]
    priority = 0.9

    def __init__(self, tech_node: float | None = None):
        if tech_node is not None and abs(tech_node - {node}) > 1e-12:
            raise ValueError(f"tech_node must be {node}, that of {technology}, not {{tech_node}}: nothing is scaled")
        super().__init__(area={area}, leak_power={leak})

    @action
    def compute(self) -> ActionCost:
        """One multiply-accumulate of the {macs} of a step, with its share of the clock."""
        return ActionCost(energy={mac}, latency={latency}, throughput={macs} / {period})

    @action
    def step(self) -> ActionCost:
        """One step: {macs} multiply-accumulates."""
        return ActionCost(energy={step}, latency={latency}, throughput=1 / {period})

    @action
    def idle(self) -> ActionCost:
        """A cycle in which nothing is computed and the clock runs."""
        return ActionCost(energy={clock}, latency={period}, throughput=1 / {period})
'''


def hwcomponents(costs: Sequence[Figures], nodes_nm: dict[str, float]) -> dict[str, str]:
    """Return a module for each technology, given the technologies' nodes in nm."""
    files = {}
    for technology in dict.fromkeys(each.cost.technology for each in costs):
        own = [each for each in costs if each.cost.technology == technology]
        text = _TOP.format(title=f"Dot-product units priced in {technology}.")
        text += "".join(_component(each, nodes_nm[technology]) for each in own)
        files[f"hwsim_{file_stem(technology)}.py"] = text
    return files


def _component(each: Figures, node_nm: float) -> str:
    """Write a class; pJ, um2, uW and ps become J, m2, W and s."""
    cost = each.cost
    words = f"{identifier(cost)}_{cost.technology}".split("_")
    return _CLASS.format(
        name="".join(word.capitalize() for word in words),
        identifier=identifier(cost),
        technology=cost.technology,
        notes="\n".join("    " + note.replace('"', "'").replace("\\", "/") for note in each.notes),
        node=_exponent(node_nm, -9),
        area=_exponent(each.area_um2, -12),
        leak=_exponent(each.leakage_uw, -6),
        macs=each.macs,
        mac=_exponent(each.mac_pj, -12),
        step=_exponent(each.step_pj, -12),
        clock=_exponent(each.clock_pj, -12),
        latency=_exponent(cost.pipeline * each.period_ps, -12),
        period=_exponent(each.period_ps, -12),
    )


def _exponent(value: float, power: int) -> str:
    """Write a number times a power of ten as the Python literal of exactly that."""
    text = number(value)
    mantissa, _, own = text.partition("e")
    return f"{mantissa}e{int(own or 0) + power}"
