# SPDX-License-Identifier: Apache-2.0
"""Build a design and run the cocotb bench on it, as the file ``bench.json`` beside this one (or in a folder) says.

It needs cocotb and a simulator on ``PATH``: Icarus Verilog (``iverilog``) or Verilator 5.036 or newer. The exit status
is 0 when every mode passed, 1 when one failed, 2 when something that is needed is missing.
"""

import argparse
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

__all__ = [
    "main",
]

_PROGRAMS = {"icarus": "iverilog", "verilator": "verilator"}
# Verilator: warnings are no errors; registers start at random, so that a missing reset shows; and only the ports are
# open to the bench, for with every signal open, as cocotb asks, a netlist runs 15 times slower.
_BUILD_ARGS = {
    "icarus": [],
    "verilator": ["-Wno-fatal", "-Wno-lint", "-Wno-style", "--x-initial", "unique", "--no-public-flat-rw"],
}
_OPEN_PORTS = '`verilator_config\npublic_flat_rw -module "{top}" -var "*"\n'


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="where bench.json is")
    parser.add_argument("--simulator", choices=sorted(_PROGRAMS), help="default: the first that is installed")
    parser.add_argument("--reuse", action="store_true", help="do not build again what is in the folder sim_build")
    return parser.parse_args(arguments)


def _summary(results: Path, modes: list[str]) -> tuple[list[str], bool]:
    """Spell what each mode did, and say whether all passed."""
    done: list[dict[str, Any]] = json.loads(results.read_text()) if results.exists() else []
    lines = []
    for mode in done:
        state = "FAIL" if mode["error"] else "PASS"
        counts = f"{mode['rows']} rows, {mode['outputs']} outputs compared, {mode['cycles']} cycles"
        lines.append(f"{state} {mode['mode']}: {counts}")
        if mode["error"]:
            lines.append(f"     {mode['error']}")
    missing = [mode for mode in modes if mode not in {entry["mode"] for entry in done}]
    lines += [f"FAIL {mode}: did not run to its end, see simulation.log" for mode in missing]
    return lines, not missing and not any(mode["error"] for mode in done)


def main(arguments: list[str] | None = None) -> int:
    """Build and run.

    Parameters
    ----------
    arguments : list of str, optional
        The command line; by default that of the process.

    Returns
    -------
    int
        The exit status.
    """
    options = _parse(arguments)
    folder = options.folder.absolute()
    if importlib.util.find_spec("cocotb_tools") is None:
        sys.stderr.write('cocotb is not installed; get it with: pip install "cocotb~=2.1"\n')
        return 2
    name = options.simulator or next((key for key, program in _PROGRAMS.items() if shutil.which(program)), None)
    if name is None or shutil.which(_PROGRAMS[name]) is None:
        sys.stderr.write(f"no simulator: {_PROGRAMS.get(name or '', 'iverilog or verilator')} is not on PATH\n")
        return 2
    from cocotb_tools.runner import get_runner

    config = json.loads((folder / "bench.json").read_text())
    top, build = config["top"], folder / "sim_build"
    results = folder / config["results"]
    results.unlink(missing_ok=True)
    runner = get_runner(name)
    if not options.reuse:
        sources = [folder / source for source in config["sources"]]
        if name == "verilator":
            ports = folder / "ports.vlt"
            ports.write_text(_OPEN_PORTS.format(top=top))
            sources.insert(0, ports)
        log = folder / "build.log"
        try:
            runner.build(
                sources=sources,
                hdl_toplevel=top,
                build_dir=build,
                build_args=_BUILD_ARGS[name],
                log_file=log,
                always=True,
            )
        except RuntimeError as error:
            sys.stderr.write(f"the build failed, see {log}: {error}\n")
            return 1
    random_start = ["+verilator+rand+reset+2", f"+verilator+seed+{config['seed'] % 2**31 or 1}"]
    try:
        runner.test(
            test_module="bench",
            hdl_toplevel=top,
            hdl_toplevel_lang="verilog",
            build_dir=build,
            test_dir=folder,
            results_xml=str(folder / "results.xml"),
            extra_env={"HWSIM_BENCH": str(folder / "bench.json")},
            plusargs=random_start if name == "verilator" else [],
            log_file=folder / "simulation.log",
        )
    except (RuntimeError, SystemExit) as error:
        sys.stderr.write(f"the simulator stopped: {error}\n")
    lines, passed = _summary(results, list(config["modes"]))
    sys.stdout.write("\n".join([f"{top} in {name}", *lines]) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
