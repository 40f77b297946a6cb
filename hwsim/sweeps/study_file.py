# SPDX-License-Identifier: Apache-2.0
"""Read a study: a TOML file that says which design points to evaluate, on which networks, and what to look for."""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hwsim.study.cases import Case, case, digits
from hwsim.study.evaluation import Evaluation
from hwsim.study.point import DesignPoint, Setting
from hwsim.study.quantities import Better
from hwsim.study.toml_checks import check_keys, flag_of, one_of, table_of, tables_of, text_of, whole
from hwsim.sweeps.parameters import Names, parameters, preset_machines
from hwsim.sweeps.search import Generation, search
from hwsim.sweeps.space import Grid, Selection, Space
from hwsim.sweeps.study_sections import (
    BUILT_IN,
    NetworkFiles,
    check_given,
    excluded,
    limits,
    machines,
    networks,
    objectives,
)

__all__ = [
    "COSTS",
    "METHODS",
    "Study",
    "read_study",
]

METHODS = ("grid", "list", "random", "pareto")
COSTS = ("known", "measured")
_KEYS = (
    "name", "description", "networks", "accelerators", "parameters", "search", "points", "exclude", "costs", "layers"
)  # fmt: skip
_SEARCH = ("method", "points", "seed", "population", "objectives", "limits")
_OF_LABELS = frozenset({"accuracy", "float_accuracy"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_POPULATION = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What a study's file says, checked; docs/sweep.md has every key.

    `count`, `seed` and `population` are those of `search`; `objectives` and `limits` are by figure. `asked` are the
    objectives of each front that is asked for: none where a grid leaves that open. `absent` are optional networks that
    have no file: their points are left out.
    """

    name: str
    description: str
    file: Path
    space: Space
    method: str
    count: int | None
    seed: int
    population: int
    objectives: Mapping[str, Better]
    asked: tuple[Mapping[str, Better], ...]
    limits: Mapping[str, float]
    costs: Literal["known", "measured"]
    layers: bool
    networks: Mapping[str, NetworkFiles]
    absent: tuple[str, ...]
    accelerators: Mapping[str, Path]

    @property
    def is_search(self) -> bool:
        """Whether the points depend on what others came to."""
        return self.method == "pareto"

    def selection(self) -> Selection:
        """Return the points of a grid, a list or a random choice, and how many were left out; ValueError without any.

        For a search, that of its whole space.
        """
        if self.method == "random":
            assert self.count is not None
            chosen = self.space.random(self.count, self.seed)
        else:
            chosen = self.space.all()
        if not chosen.points:
            why = next(iter(chosen.impossible), "all combinations are excluded")
            raise ValueError(f"{self.file}: no point is left: {why}")
        return chosen

    def points(self) -> tuple[DesignPoint, ...]:
        """Return the points of a grid, a list or a random choice."""
        return self.selection().points

    def search(
        self,
        run: Callable[[Sequence[DesignPoint]], Sequence[Evaluation]],
        told: Callable[[Generation], None] = lambda generation: None,
    ) -> list[Generation]:
        """Search for the front, generation by generation (`hwsim.sweeps.search.search`)."""
        return search(self, run, told)

    def cases(self) -> dict[str, Case]:
        """Read the networks that the points run, with the accelerators of the study.

        Raises
        ------
        FileNotFoundError, TypeError, ValueError
            As `hwsim.study.case`, with the file of the study and the network; and if an objective or a limit is an
            accuracy, and a network has no labels.
        """
        made = {}
        for name in self.used("network", BUILT_IN):
            try:
                made[name] = self._case(name).with_accelerators(self.accelerators)
            except (LookupError, OSError, TypeError, ValueError) as error:
                kind = ValueError if isinstance(error, LookupError | OSError) else type(error)
                raise kind(f"{self.file}: networks.{name}: {error.args[0] if error.args else error}") from None
            for key in _OF_LABELS.intersection((*(key for front in self.asked for key in front), *self.limits)):
                if made[name].labels is None:
                    raise ValueError(
                        f"{self.file}: search: {key} needs labels, which network {name} has not: "
                        "choose objectives and limits of agreement or output_sqnr_db"
                    )
        return made

    def used(self, key: str, default: str) -> tuple[str, ...]:
        """Return the names that a parameter has in any grid."""
        found = dict.fromkeys(str(value) for grid in self.space.grids for value in grid.parameters.get(key, (default,)))
        return tuple(found)

    def _case(self, name: str) -> Case:
        files = self.networks.get(name)
        if files is None:
            return digits()
        return case(
            name, files.model, files.inputs, files.calibration, from_quantized=files.from_quantized,
            images=files.images, batch=files.batch, dimensions=files.dimensions,
        )  # fmt: skip


def read_study(path: str | Path, models: Mapping[str, str | Path] | None = None) -> Study:
    """Read a study.

    Parameters
    ----------
    path : str or Path
        A TOML file; paths in it are from its folder.
    models : mapping of str to path, optional
        ONNX files of networks by name, in place of the study's or beside them.

    Returns
    -------
    Study

    Raises
    ------
    FileNotFoundError
        If the file, or one that it names, is not there.
    TypeError, ValueError
        If the file is not TOML, or a key is unknown, missing, of the wrong kind, out of range or no known name: with
        file, key, value and close matches. No network is read yet.
    """
    file = Path(path)
    table = _toml(file)
    where = str(file)
    check_keys(table, _KEYS, where)
    nets = networks(table.get("networks", {}), models or {}, file)
    texts, files = machines(table.get("accelerators", {}), file)
    absent = tuple(name for name in table.get("networks", {}) if name not in nets)
    names = Names(networks=(BUILT_IN, *nets, *absent), machines={**preset_machines(), **texts})
    chosen = table_of(table.get("search", {}), f"{where}: search")
    check_keys(chosen, _SEARCH, f"{where}: search")
    method = _method(chosen, table, where)
    space = _space(table, names, where, method)
    asked = (str(name) for grid in space.grids for name in grid.parameters.get("network", ()))
    check_given(models or {}, (BUILT_IN, *table.get("networks", {}), *asked))
    space = _present(space, absent, where)
    wanted = objectives(chosen.get("objectives"), f"{where}: search.objectives")
    return Study(
        name=_name(table.get("name", file.stem), f"{where}: name"),
        description=text_of(table.get("description", ""), f"{where}: description"),
        file=file,
        space=space,
        method=method,
        count=_count(chosen, method, where),
        seed=whole(chosen.get("seed", 0), 0, f"{where}: search.seed"),
        population=whole(chosen.get("population", _POPULATION), 2, f"{where}: search.population"),
        objectives=wanted,
        asked=(wanted,) if "objectives" in chosen or method == "pareto" else (),
        limits=limits(chosen.get("limits", {}), f"{where}: search.limits"),
        costs="measured" if one_of(table.get("costs", "known"), COSTS, f"{where}: costs") == "measured" else "known",
        layers=flag_of(table.get("layers", True), f"{where}: layers"),
        networks=nets,
        absent=absent,
        accelerators=files,
    )


def _toml(file: Path) -> dict[str, Any]:
    """Return the tables of a file."""
    if file.is_dir():
        raise ValueError(f"{file}: is a directory, not a study's TOML file")
    if not file.is_file():
        raise FileNotFoundError(f"no study {str(file)!r}")
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: not a TOML file: {error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file}: not a TOML file: it is not text") from None


def _method(chosen: Mapping[str, Any], table: Mapping[str, Any], where: str) -> str:
    """Return the method, and check that the keys that are there go with it."""
    method = one_of(chosen.get("method", "list" if "points" in table else "grid"), METHODS, f"{where}: search.method")
    if ("points" in table) != (method == "list"):
        does = "goes with [[points]] tables, and there are none" if method == "list" else "does not go with [[points]]"
        raise ValueError(f"{where}: search.method {method!r} {does}")
    for key, methods in (("points", ("random", "pareto")), ("seed", ("random", "pareto")), ("population", ("pareto",))):
        if key in chosen and method not in methods:
            raise ValueError(f"{where}: search.{key} goes with method {' or '.join(methods)}, not with {method!r}")
    return method


def _space(table: Mapping[str, Any], names: Names, where: str, method: str) -> Space:
    """Return what the parameters span."""
    held = parameters(table_of(table.get("parameters", {}), f"{where}: parameters"), names, f"{where}: parameters")
    if method == "list":
        grids = []
        for index, each in enumerate(tables_of(table["points"], f"{where}: points")):
            place = f"{where}: points[{index}]"
            grids.append(_grid({**held, **parameters(each, names, place)}, place))
    else:
        grids = [_grid(held, f"{where}: parameters")]
    given = tables_of(table.get("exclude", []), f"{where}: exclude")
    space = Space(
        tuple(grids), tuple(excluded(each, grids, f"{where}: exclude[{index}]") for index, each in enumerate(given))
    )
    if method == "pareto" and len(held.get("network", ())) > 1:
        raise ValueError(f"{where}: parameters.network must be one network where method is 'pareto': a front is of one")
    if len(space) > 2**53:
        raise ValueError(f"{where}: parameters: the combinations must be at most 2**53, not {len(space)}")
    return space


def _present(space: Space, absent: Collection[str], where: str) -> Space:
    """Return a space without the points of networks that are not there."""
    grids = []
    for grid in space.grids:
        left = tuple(name for name in grid.parameters.get("network", ()) if name not in absent)
        if left or "network" not in grid.parameters:
            grids.append(Grid({**grid.parameters, **({"network": left} if left else {})}))
    if not grids:
        raise ValueError(f"{where}: no network is there: give one with --network {next(iter(absent))}=MODEL.onnx")
    return Space(tuple(grids), space.excludes)


def _grid(held: Mapping[str, tuple[Setting, ...]], where: str) -> Grid:
    """Return a grid that says what multiplies, or raise."""
    if ("format" in held) == ("unit" in held):
        raise ValueError(
            f"{where}: give format or unit: what multiplies, {'not both' if 'unit' in held else 'neither is there'}"
        )
    for key in ("lanes", "accumulator"):
        if key in held and "unit" in held:
            raise ValueError(f"{where}.{key} goes with format; a unit's name says its own")
    return Grid(dict(held))


def _count(chosen: Mapping[str, Any], method: str, where: str) -> int | None:
    """Return how many points are asked for."""
    if method not in {"random", "pareto"}:
        return None
    if "points" not in chosen:
        raise ValueError(f"{where}: search.points is missing: how many points method {method!r} is to ask for")
    return whole(chosen["points"], 1, f"{where}: search.points")


def _name(given: Any, where: str) -> str:
    """Return the name of a study, which its store's folder is named after."""
    name = text_of(given, where)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{where} must be of letters, digits, '_', '-' and '.', not {name!r}")
    return name
