#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run a sweep on machines reached by SSH: a Dask scheduler here, a worker a core there, all gone at the end.
#
#   examples/clusters/ssh.sh STUDY.toml HOST [HOST...]
#
# SCHEDULER_HOST  name or address of this machine that the hosts reach (default: `hostname -f`)
# SCHEDULER_PORT  its port (default: 8786)
# REMOTE_PYTHON   the Python with hwsim on the hosts (default: python3)
# What Dask says goes to dask-*.log here.
# The hosts need the same hwsim, Python, NumPy and Numba as this machine; the sweep says so first if not.
set -eu

if [ $# -lt 2 ]; then
  echo "usage: $0 STUDY.toml HOST [HOST...]" >&2
  exit 2
fi
study=$1
shift
address="tcp://${SCHEDULER_HOST:-$(hostname -f)}:${SCHEDULER_PORT:-8786}"

started=()
trap '[ ${#started[@]} = 0 ] || kill "${started[@]}" 2>/dev/null || true' EXIT

python3 -m dask scheduler --port "${SCHEDULER_PORT:-8786}" --no-dashboard 2>dask-scheduler.log &
started+=($!)

for host in "$@"; do
  ssh -o BatchMode=yes "$host" \
    "NUMBA_NUM_THREADS=1 exec ${REMOTE_PYTHON:-python3} -m dask worker $address --nworkers -1 --nthreads 1 --no-dashboard --death-timeout 60" 2>"dask-$host.log" &
  started+=($!)
done

hwsim sweep "$study" --scheduler "$address"
