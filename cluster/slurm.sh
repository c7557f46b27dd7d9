#!/usr/bin/env bash
# One study on the nodes of a Slurm job:
#     sbatch --nodes=4 --gpus-per-node=4 cluster/slurm.sh launch SPACE.yaml --games GAMES/ \
#         --results /shared/studies --set run.gpus_per_trial=1
# Arguments are those of hexsearch without --address. Folders must be on a disk that all nodes see.
# HEXSEARCH_SETUP holds commands that make `python` the right one, on every node:
#     export HEXSEARCH_SETUP='module load python/3.11; source ~/hexsearch/.venv/bin/activate'
# Where a job does not know `module`, begin with: source /etc/profile.d/modules.sh; ...
# After the time limit or `scancel`, submit again with: sbatch OPTIONS cluster/slurm.sh resume STUDY_DIR
# where OPTIONS are those of the first time (--nodes, --gpus-per-node).
# A job that Slurm puts back into the queue (preemption, a lost head node) resumes by itself.
#SBATCH --job-name=hexsearch
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --no-kill
#SBATCH --open-mode=append
set -euo pipefail
umask 077

set +u  # scripts that activate an environment read variables that may be unset
# Not by `||`, after which the first of several commands could fail unnoticed.
trap 'echo "error: HEXSEARCH_SETUP failed or ended the job: $HEXSEARCH_SETUP" >&2; exit 1' EXIT
eval "${HEXSEARCH_SETUP:-}"
trap - EXIT
set -u
port=${HEXSEARCH_RAY_PORT:-6379}
start_s=${HEXSEARCH_START_SECONDS:-120}
python=${HEXSEARCH_PYTHON:-python}

# A study that starts gets a name, so that the job finds it again when it is started once more.
if [[ ${1:-} == launch || ${1:-} == compare ]]; then
    named=false
    for argument in "$@"; do  # each by itself: a question may contain the word
        if [[ $argument == --name || $argument == --name=* ]]; then named=true; fi
    done
    if ! $named; then
        set -- "$@" --name "slurm-$SLURM_JOB_ID"
    fi
    if ((${SLURM_RESTART_COUNT:-0} > 0)); then
        set -- "$@" --or-resume
    fi
fi

# The steps of the job inherit its requests, and a step on one node cannot have those of all nodes.
if [[ -n ${SLURM_GPUS:-} ]]; then
    echo "error: --gpus=$SLURM_GPUS counts the GPUs of the whole job; ask for --gpus-per-node=N" >&2
    exit 2
fi

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${SLURMD_NODENAME:-${nodes[0]}}  # where this script runs, also after a node has gone
address=$(srun --overlap --nodes=1 --ntasks=1 -w "$head" hostname -I | awk '{print $1}'):$port

# One token for this job alone, passed through the environment of its steps and never by argument.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$("$python" -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN
# A node that has gone is noticed after 5 checks of 2 s; Ray's own settings take a minute.
export RAY_health_check_period_ms=2000 RAY_health_check_timeout_ms=2000
export RAY_health_check_failure_threshold=5
# Nodes end after the study or with the whole job, when no work can move to another node.
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0

sessions=/tmp/hexsearch-slurm-$SLURM_JOB_ID  # short: Ray's sockets lie below it
ray_log=$PWD/hexsearch-$SLURM_JOB_ID.ray.log  # what Ray's nodes say; the job's own log stays clean
steps=()
driver=
# A job killed for its time or by preemption gets SIGTERM first: the driver drains and stays
# resumable, then the nodes go.
trap 'if [[ -n $driver ]]; then kill -TERM "$driver" 2>/dev/null || true; fi' TERM INT
trap end_steps EXIT

# Ray's nodes get SIGTERM and half a minute to end, after which they remove their folders. A signal to
# `srun` itself would kill them at once.
end_steps() {
    if ((${#steps[@]})); then
        scancel --signal=TERM "$SLURM_JOB_ID" 2>/dev/null || true  # the steps, not this script
        local end=$((SECONDS + 30))
        while kill -0 "${steps[@]}" 2>/dev/null && ((SECONDS < end)); do sleep 0.5; done
        kill "${steps[@]}" 2>/dev/null || true
    fi
}

# start_ray NODE OPTION...: a Ray node until the step is ended, which also ends its folder. CPUs and
# GPUs are counted in the step: this script itself sees all GPUs of its node, since the job has the
# node alone, while steps see those that were asked for. Folders of jobs that Slurm killed before they
# could remove them are removed first: those of this user whose jobs Slurm no longer knows as waiting
# or running. If Slurm does not answer, they stay.
start_ray() {
    local node=$1
    shift
    # shellcheck disable=SC2016  # expanded on the node
    srun --overlap --nodes=1 --ntasks=1 -w "$node" bash -c \
        'sessions=$1; shift; trap : TERM INT
        if jobs=$(squeue --noheader --user="$(id -un)" --format=%A); then
            for old in "${sessions%-*}"-*; do
                if [[ -d $old && ! -L $old && -O $old ]] && ! grep -qx "${old##*-}" <<<"$jobs"; then
                    rm -rf "$old" || true
                fi
            done
        fi
        "$@" --num-cpus="${SLURM_CPUS_ON_NODE:-$(nproc)}" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" || true
        rm -rf "$sessions"' - "$sessions" \
        "$python" -m ray.scripts.scripts start "$@" \
        --disable-usage-stats --block >>"$ray_log" 2>&1 &
    steps+=($!)
}

start_ray "$head" --head --node-ip-address="${address%:*}" --port="$port" \
    --temp-dir="$sessions" --include-dashboard=false
deadline=$((SECONDS + start_s))
until "$python" -m ray.scripts.scripts status --address="$address" >/dev/null 2>&1; do
    if ((SECONDS > deadline)); then
        echo "error: no Ray head on $head at $address within $start_s s; see $ray_log" >&2
        exit 1
    fi
    sleep 1
done
for node in "${nodes[@]}"; do
    if [[ $node != "$head" ]]; then
        start_ray "$node" --address="$address"
    fi
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

"$python" -m hexsearch "$@" --address "$address" &
driver=$!
status=0
wait "$driver" || status=$?
if ((status > 128)) && kill -0 "$driver" 2>/dev/null; then  # the signal ended the wait, not it
    status=0
    wait "$driver" || status=$?
fi
exit "$status"
