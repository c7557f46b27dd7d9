#!/usr/bin/env bash
# One study on the nodes of a Slurm job: sbatch --nodes=4 cluster/slurm.sh launch SPACE.yaml ...
#SBATCH --job-name=hexsearch
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
# Arguments are those of run_search.py without --address; after the time limit or a preemption
# submit again with: sbatch cluster/slurm.sh resume STUDY_DIR
set -euo pipefail
umask 077

port=${HEXSEARCH_RAY_PORT:-6379}
start_s=${HEXSEARCH_START_SECONDS:-120}
python=${HEXSEARCH_PYTHON:-python}
ray() { "$python" -m ray.scripts.scripts "$@"; }

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
address=$(srun --nodes=1 --ntasks=1 -w "$head" hostname -I | awk '{print $1}'):$port

# One token for this job alone, passed through the environment of its steps and never by argument.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$("$python" -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN
# A node that has gone is noticed after 5 checks of 2 s; Ray's own settings take a minute.
export RAY_health_check_period_ms=2000 RAY_health_check_timeout_ms=2000
export RAY_health_check_failure_threshold=5

cpus=${SLURM_CPUS_ON_NODE:-$(nproc)}
gpus=${SLURM_GPUS_ON_NODE:-0}
steps=()
driver=
# A job killed for its time or by preemption gets SIGTERM first: the driver drains and stays
# resumable, then the nodes go.
trap 'if [[ -n $driver ]]; then kill -TERM "$driver" 2>/dev/null || true; fi' TERM INT
trap 'for step in "${steps[@]}"; do kill "$step" 2>/dev/null || true; done' EXIT

srun --overlap --nodes=1 --ntasks=1 -w "$head" "$python" -m ray.scripts.scripts start --head \
    --node-ip-address="${address%:*}" --port="$port" --num-cpus="$cpus" --num-gpus="$gpus" \
    --include-dashboard=false --disable-usage-stats --block &
steps+=($!)

deadline=$((SECONDS + start_s))
until ray status --address="$address" >/dev/null 2>&1; do
    if ((SECONDS > deadline)); then
        echo "error: no Ray head on $head at $address within $start_s s" >&2
        exit 1
    fi
    sleep 1
done
for node in "${nodes[@]:1}"; do
    srun --overlap --nodes=1 --ntasks=1 -w "$node" "$python" -m ray.scripts.scripts start \
        --address="$address" --num-cpus="$cpus" --num-gpus="$gpus" --disable-usage-stats --block &
    steps+=($!)
done
"$python" - "$address" "${#nodes[@]}" "$start_s" <<'PYTHON'
import sys, time, ray
ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
deadline = time.monotonic() + float(sys.argv[3])
while (alive := sum(node["Alive"] for node in ray.nodes())) < int(sys.argv[2]):
    if time.monotonic() > deadline:
        sys.exit(f"error: {alive} of {sys.argv[2]} nodes joined within {sys.argv[3]} s")
    time.sleep(1)
PYTHON

"$python" "${HEXSEARCH_HOME:-$SLURM_SUBMIT_DIR}/run_search.py" "$@" --address "$address" &
driver=$!
status=0
wait "$driver" || status=$?
if ((status > 128)) && kill -0 "$driver" 2>/dev/null; then  # the signal ended the wait, not it
    status=0
    wait "$driver" || status=$?
fi
exit "$status"
