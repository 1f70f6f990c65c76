# syntax=docker/dockerfile:1
# The worker on a base with the CUDA runtime.
#
#   docker build -f deploy/images/worker-cuda.Dockerfile -t ghcr.io/nightshift-dev/nightshift-worker:0.1.0-cuda .
#
# What is untested, and what to expect: no engine of this version computes on a GPU. This worker
# scores exactly as the other one does, on the CPU, and the image has never been run on a GPU. It is
# the start for a build whose engine loads CUDA, which a static program cannot: it is linked
# dynamically against a glibc that is no newer than the base's. It has the shell of its base.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p nightshift-worker && \
    cp target/release/nightshift-worker /nightshift-worker

FROM nvidia/cuda:12.9.1-base-ubuntu24.04
RUN echo 'nightshift:x:65532:65532:nightshift:/:/usr/sbin/nologin' >>/etc/passwd && \
    echo 'nightshift:x:65532:' >>/etc/group
COPY LICENSE /LICENSE
COPY --from=build /nightshift-worker /nightshift-worker
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/nightshift-worker"]
