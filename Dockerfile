# Runs the main job:   docker build -t hexsearch . && docker run --rm --shm-size=2g -v "$PWD/results:/work/results" hexsearch
# Any other command:   docker run --rm -v "$PWD/results:/work/results" hexsearch leaderboard results/NAME
# The image holds torch for CPUs. For GPUs build with --build-arg TORCH=https://pypi.org/simple, and run with --gpus all.
# Ray keeps the games in shared memory; without --shm-size it falls back to files, which is slower.
FROM python:3.11-slim

ARG TORCH=https://download.pytorch.org/whl/cpu
COPY . /tmp/hexsearch
RUN pip install --no-cache-dir --extra-index-url "$TORCH" -c /tmp/hexsearch/constraints.txt /tmp/hexsearch \
    && rm -rf /tmp/hexsearch \
    && useradd --create-home --uid 1000 hexsearch \
    && mkdir -p /work/results \
    && chown -R hexsearch /work

USER hexsearch
WORKDIR /work
VOLUME /work/results
ENTRYPOINT ["hexsearch"]
