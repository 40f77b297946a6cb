# SPDX-License-Identifier: Apache-2.0
"""Run a sweep on a Slurm cluster: jobs of Dask workers by dask-jobqueue, from a login node.

    pip install dask-jobqueue
    python examples/clusters/slurm.py STUDY.toml --jobs 8 --cores 16 --queue short

The scheduler lives in this process; each job is a node's worth of workers of one thread, which end with it. A job that
reaches its time limit is replaced, and what it had not delivered is run again elsewhere. If this process ends, start it
again with the same study and store.
"""

import argparse
import subprocess
import sys


def main() -> None:
    """Ask for jobs, run the sweep on them, give them back."""
    parser = argparse.ArgumentParser(description="Run a sweep on a Slurm cluster.")
    parser.add_argument("study")
    parser.add_argument("--store", help="as for hwsim sweep")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--cores", type=int, default=8, help="of a job, which is as many workers")
    parser.add_argument("--memory", default="16GB", help="of a job")
    parser.add_argument("--walltime", default="02:00:00", help="of a job")
    parser.add_argument("--queue", help="Slurm's partition")
    parser.add_argument("--interface", help="network interface that the nodes reach this one by, such as ib0")
    given = parser.parse_args()
    try:
        from dask_jobqueue import SLURMCluster
    except ModuleNotFoundError:
        sys.exit("this needs dask-jobqueue: pip install dask-jobqueue")
    with SLURMCluster(
        cores=given.cores,
        processes=given.cores,
        memory=given.memory,
        walltime=given.walltime,
        queue=given.queue,
        interface=given.interface,
        python=sys.executable,
        job_script_prologue=["export NUMBA_NUM_THREADS=1"],
        scheduler_options={"dashboard_address": None},
    ) as cluster:
        cluster.adapt(minimum_jobs=1, maximum_jobs=given.jobs)
        store = ["--store", given.store] if given.store else []
        command = [sys.executable, "-c", "from hwsim.cli import main; main()", "sweep", given.study, *store]
        status = subprocess.run([*command, "--scheduler", cluster.scheduler_address], check=False).returncode
    sys.exit(status)


if __name__ == "__main__":
    main()
