# SPDX-License-Identifier: Apache-2.0
"""The tables that units.py prints."""

import statistics
from typing import Any

from benchmarks.unit_peers import QUOTED

__all__ = [
    "show_cold",
    "show_memory",
    "show_speeds",
]

FACTOR = 1.9  # what two threads have to bring
COLD_SECONDS = 2
MEMORY_MIB = 256

Lines = dict[str, dict[int, dict[str, Any]]]


def _verdict(value: float, wanted: float | None, digits: int) -> str:
    """Return what was asked for, and whether it is reached."""
    if wanted is None:
        return "-"
    return f"{wanted:g} {'PASS' if round(value, digits) >= wanted else 'short'}"


def show_speeds(lines: Lines, size: int) -> None:
    """Print the table, the paths with their proofs, and the peers; lines by case and number of threads."""
    # The first number of threads is the one of the targets; the second is set against it.
    first, second = [*next(iter(lines.values())), 0, 0][:2]
    heads = ("", "GMAC/s", "target", "x numpy", "target", _threads(second) if second else "", f"x {_threads(first)}")
    rows: list[tuple[str, ...]] = [(*heads, "path", "best exact peer")]
    for by_threads in lines.values():
        line = next(iter(by_threads.values()))
        reason = next((other["reason"] for other in by_threads.values() if "reason" in other), None)
        rows.append(_row(by_threads) if reason is None else (line["title"], "-", *[""] * 6, reason))
    widths = [max(len(row[at]) for row in rows) + 2 for at in range(len(rows[0]) - 1)]
    print(f"{size} x {size} x {size}, GMAC/s of wall time; float32 numpy.matmul: {_numpy(lines)}")
    for row in rows:
        print("".join(f"{cell:<{width}}" for cell, width in zip(row, [*widths, 0], strict=True)).rstrip())
    print("\nPaths")
    for by_threads in lines.values():
        line = next(iter(by_threads.values()))
        if "gmacs" in line:
            print(f"  {line['title']} ({line['unit']}): {line['path']}: {line['proof']}; {_checked(by_threads, size)}")
    print("\nPeers: GMAC/s, on smaller products where they are slow, and how many results differ from ours")
    for by_threads in lines.values():
        for threads, line in by_threads.items():
            for peer in sorted(line.get("peers", ()), key=lambda peer: -peer.get("gmacs", 0)):
                print(f"  {line['title']}, {_threads(threads)}: {_peer(peer)}")
    print("  not run, for no package registry has them; one thread of an Intel Xeon:")
    for kind, quoted in QUOTED.items():
        print(f"    {kind}: {quoted}")


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _checked(by_threads: dict[int, dict[str, Any]], size: int) -> str:
    """Return how the result was checked, and on how many rows it was timed."""
    line = next(iter(by_threads.values()))
    words = [f"{line['checked']} outputs equal the oracle's"]
    # The same rows of the same product have the same bits on any number of threads.
    results = {(tuple(other["shape"]), other["crc"]) for other in by_threads.values() if "crc" in other}
    if len(results) != len({shape for shape, _ in results}):
        words.append("THE RESULT DEPENDS ON THE NUMBER OF THREADS")
    if line["shape"][0] != size:
        words.append(f"timed on {line['shape'][0]} rows")
    return "; ".join(words)


def _row(by_threads: dict[int, dict[str, Any]]) -> tuple[str, ...]:
    line, *others = by_threads.values()
    ratio = line["gmacs"] / line["numpy_gmacs"]
    second, factor = "-", "-"
    if others:
        times = others[0]["gmacs"] / line["gmacs"]
        second, factor = f"{others[0]['gmacs']:.2f}", f"{times:.2f}{'' if times >= FACTOR else ' short'}"
    exact = [peer for peer in line["peers"] if peer.get("same") and not peer["differ"]]
    best = max(exact, key=lambda peer: float(peer["gmacs"]), default=None)
    beside = f"{best['library']} {best['gmacs']:.3g}: {line['gmacs'] / best['gmacs']:.3g} times" if best else "-"
    wanted, wanted_ratio = _verdict(line["gmacs"], line["target"], 1), _verdict(ratio, line["target_ratio"], 2)
    gmacs = f"{line['gmacs']:.2f}"
    return line["title"], gmacs, wanted, f"{ratio:.2f}", wanted_ratio, second, factor, line["path"], beside


def _numpy(lines: Lines) -> str:
    found: dict[int, list[float]] = {}
    for by_threads in lines.values():
        for threads, line in by_threads.items():
            found.setdefault(threads, []).extend([line["numpy_gmacs"]] if "gmacs" in line else [])
    return ", ".join(f"{statistics.median(rates):.1f} on {_threads(t)}" for t, rates in found.items() if rates)


def _peer(peer: dict[str, Any]) -> str:
    if "reason" in peer:
        return f"{peer['library']}: not run, {peer['reason']}"
    same = f"equal on {peer['of']:,}" if not peer["differ"] else f"{peer['differ']:,} of {peer['of']:,} differ"
    chance = "" if peer["same"] else ", not the same arithmetic"
    return f"{peer['library']} {peer['gmacs']:.3g} at {peer['size']}, {same}{chance}"


def show_cold(lines: list[dict[str, Any]]) -> None:
    """Print the seconds of a first product."""
    size = lines[0]["size"]
    print(
        f"The first product of a process, {size} x {size} x {size}: seconds of the call (and since the process began)"
    )
    for line in lines:
        word = "PASS" if line["warm_call"] < COLD_SECONDS else "short"
        warm = f"{line['warm_call']:.2f} ({line['warm_process']:.2f})"
        empty = f"{line['empty_call']:.2f} ({line['empty_process']:.2f})"
        print(f"  {line['unit']:<26} cache warm {warm}, under {COLD_SECONDS}: {word}; cache empty {empty}")


def show_memory(lines: list[dict[str, Any]]) -> None:
    """Print the memory that products take."""
    print(f"MiB that a product takes beyond its operands and its result, at most {MEMORY_MIB}")
    for line in lines:
        word = "PASS" if line["beyond_mib"] <= MEMORY_MIB else "short"
        shape, held = " x ".join(map(str, line["shape"])), f"{line['operands_mib']:.0f} and {line['result_mib']:.0f}"
        print(f"  {line['unit']:<26}{shape:<24}{line['beyond_mib']:>7.0f} {word} ({held}; {line['seconds']:.1f} s)")
