# Runs the main job, as the user who calls it:
#     docker build -t hexsearch . && mkdir -p results
#     docker run --rm --shm-size=2g --user "$(id -u):$(id -g)" -v "$PWD/results:/work/results" hexsearch
# Any other command: the same with more words, as in `... hexsearch leaderboard results/NAME`.
# Without --user the folder must belong to user 1000.
# The image holds torch for CPUs. For GPUs build with --build-arg TORCH=https://pypi.org/simple, and run with --gpus all.
# For KubeRay (cluster/rayjob.yaml) add --build-arg EXTRAS='[kuberay]', which brings Ray's job server.
# Ray keeps the games in shared memory; without --shm-size it falls back to files, which is slower.
# The image has no compiler, so that `trial.compile: always` is refused in it.
FROM python:3.11-slim

ARG TORCH=https://download.pytorch.org/whl/cpu
ARG EXTRAS=
# The sources are only shown to this step, so that no layer holds them.
RUN --mount=type=bind,target=/tmp/hexsearch,rw \
    pip install --no-cache-dir --extra-index-url "$TORCH" -c /tmp/hexsearch/constraints.txt "/tmp/hexsearch$EXTRAS" \
    && useradd --create-home --uid 1000 hexsearch \
    && mkdir -p /work/results \
    && chown -R hexsearch /work

# What the NVIDIA container runtime puts into the container, if there are GPUs.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
# By its number: Kubernetes cannot tell from a name that this is not root.
USER 1000
WORKDIR /work
VOLUME /work/results
ENTRYPOINT ["hexsearch"]
