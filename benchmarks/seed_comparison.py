# SPDX-License-Identifier: Apache-2.0
"""The formats of three papers as one study: examples/seed_comparison.toml, its figures beside the papers'.

python -m benchmarks.seed_comparison                              # the digits network alone
python -m benchmarks.seed_comparison --resnet8 RESNET8_INT8_QDQ.onnx --image IMAGES.npz NAME --record

Writes the report page to artifacts/seed_comparison.html (`--report`). `--record` keeps the figures with the package for
docs/papers_beside.md and docs/seed_comparison.md; it needs both networks.
"""

import argparse
import os
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from hwsim.report.page import write_page
from hwsim.report.papers.beside import STUDY, Beside, beside
from hwsim.report.papers.claims import figures_text, read_papers
from hwsim.report.papers.measures import Sources
from hwsim.report.papers.recorded import Recorded
from hwsim.report.papers.studied import Studied
from hwsim.report.papers.study_tables import study_tables
from hwsim.study import Case, Evaluation, case, model_version, run
from hwsim.sweeps.progress import Progress
from hwsim.sweeps.study_file import Study, read_study
from hwsim.sweeps.sweep import comparison_dict

__all__ = [
    "main",
]

_STUDY = Path(__file__).parents[1] / "examples" / "seed_comparison.toml"
_RESNET8 = "resnet8"
_NOTES = (
    "ResNet-8 runs on images without labels: agreement is the share of them whose largest output is float32's.",
    "A float16 register that sums outgrow is refused: scales put the largest operand on the largest code.",
)


def _cases(study: Study, image: tuple[str, str] | None) -> dict[str, Case]:
    """Return the study's networks; an image that is given comes after the random ones of ResNet-8."""
    cases = study.cases()
    if image is None or _RESNET8 not in cases:
        return cases
    held = cases[_RESNET8]
    files = study.networks[_RESNET8]
    ((name, drawn),) = held.inputs.items()
    with np.load(image[0]) as arrays:
        given = np.asarray(arrays[image[1]], drawn.dtype).reshape(-1, *drawn.shape[1:])
    inputs = {name: np.concatenate([drawn, given])}
    return {**cases, _RESNET8: case(_RESNET8, files.model, inputs, from_quantized=files.from_quantized)}


def _conditions(cases: Mapping[str, Case], image: tuple[str, str] | None) -> tuple[str, ...]:
    """Return what each network ran on."""
    more = {} if image is None else {_RESNET8: ", random ones evenly from 0 to 255 and one of CIFAR-10"}
    return tuple(f"{name}: {each.what}{more.get(name, '')}" for name, each in cases.items())


def _print_claim(row: Beside) -> None:
    verdict = "agrees" if row.agrees else "DIFFERS"
    print(f"  {verdict:8} {row.claim.says}: theirs {figures_text(row.claim, row.claim.value)}")
    print(f"           ours {row.text} ({row.label})")


def _tell(progress: Progress) -> None:
    """Say what came, every ten points."""
    if progress.fresh and (progress.done // 10 > (progress.done - len(progress.fresh)) // 10):
        print(f"{progress.done} of {progress.total} points, {progress.seconds:.0f} s", flush=True)


def _evaluated(study: Study, cases: Mapping[str, Case], workers: int) -> tuple[tuple[Evaluation, ...], float]:
    """Return every point evaluated, nothing known before, and the seconds that it took."""
    with TemporaryDirectory(prefix="hwsim_seed_") as folder:
        began = time.monotonic()
        result = run(study.points(), cases, folder, workers=workers, layers=study.layers, progress=_tell)
        seconds = time.monotonic() - began
    if result.failures:
        raise RuntimeError(f"{len(result.failures)} points failed, the first {result.failures[0]}")
    return result.evaluations, seconds


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the study, print its figures beside the papers', write its page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resnet8", type=Path, help="MLPerf Tiny's ResNet-8, int8 in QDQ form")
    parser.add_argument("--image", nargs=2, metavar=("FILE.npz", "NAME"), help="an array of CIFAR-10 images besides")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--report", type=Path, default=Path("artifacts/seed_comparison.html"))
    parser.add_argument("--record", action="store_true", help="keep the figures with the package")
    chosen: Any = parser.parse_args(None if arguments is None else list(arguments))
    if chosen.record and chosen.resnet8 is None:
        parser.error("--record needs --resnet8: what is kept has both networks")
    image = None if chosen.image is None else tuple(chosen.image)
    study = read_study(_STUDY, {} if chosen.resnet8 is None else {_RESNET8: chosen.resnet8})
    cases = _cases(study, image)
    evaluations, seconds = _evaluated(study, cases, chosen.workers)
    found = Studied.of(
        evaluations,
        date=datetime.now(UTC).date().isoformat(),
        version=model_version(),
        conditions=_conditions(cases, image),
        machine=f"{chosen.workers} workers",
        seconds=round(seconds),
    )
    print(f"{len(evaluations)} points in {seconds:.0f} s on {chosen.workers} workers")
    for row in found.rows:
        if row["refused"]:
            print(f"refused: {row['unit']} on {row['network']}: {row['refused']}")
    for name, table in study_tables(found).items():
        print(f"\n{name}\n\n{table}")
    print("\nbeside the papers:")
    sources = Sources(Recorded.read(), found)
    for each in beside(read_papers(), sources, measures=STUDY, networks=found.networks):
        _print_claim(each)
    chosen.report.parent.mkdir(parents=True, exist_ok=True)
    notes = [study.description, *found.conditions, *_NOTES]
    print(f"page: {write_page(comparison_dict(evaluations, 'The seed comparison', notes), chosen.report)}")
    if chosen.record:
        found.write()


if __name__ == "__main__":
    main()
