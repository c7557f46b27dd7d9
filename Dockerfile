# Runs the main job:   docker build -t hexsearch . && docker run --rm --shm-size=2g -v "$PWD/results:/work/results" hexsearch
# Any other command:   docker run --rm -v "$PWD/results:/work/results" hexsearch leaderboard results/NAME
# Ray keeps the games in shared memory; without --shm-size it falls back to files, which is slower.
FROM python:3.11-slim

COPY . /tmp/hexsearch
RUN pip install --no-cache-dir -c /tmp/hexsearch/constraints.txt /tmp/hexsearch \
    && rm -rf /tmp/hexsearch \
    && useradd --create-home --uid 1000 hexsearch \
    && mkdir -p /work/results \
    && chown -R hexsearch /work

USER hexsearch
WORKDIR /work
VOLUME /work/results
ENTRYPOINT ["hexsearch"]
