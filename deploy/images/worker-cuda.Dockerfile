# syntax=docker/dockerfile:1
# The worker with CUDA, which scores text on a GPU of NVIDIA where a spec says `device: cuda`.
#
#   docker build -f deploy/images/worker-cuda.Dockerfile -t ghcr.io/nightshift-dev/nightshift-worker:0.1.0-cuda .
#
# The command with CUDA, for pods that run a whole spec: the same with `--target nightshift` and
# `-t ghcr.io/nightshift-dev/nightshift:0.1.0-cuda`.
#
# What is untested: this file has not been built, and nothing of it has run on a GPU. The programs are linked
# with libcuda, which belongs to the driver and which NVIDIA's container runtime puts into the
# container: without it they do not begin. The driver compiles the kernels for its GPU, so that it
# must know CUDA 12.9 (release 575). The base has a shell.
FROM rust:1.95-bookworm AS rust

FROM nvidia/cuda:12.9.1-devel-ubuntu24.04 AS build
COPY --from=rust /usr/local/cargo /usr/local/cargo
COPY --from=rust /usr/local/rustup /usr/local/rustup
# A GPU that is asked for its kind is not there while an image is built. Kernels for 8.0 run on
# Ampere and all later ones.
ENV CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup CUDA_COMPUTE_CAP=80 \
    PATH=/usr/local/cargo/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p nightshift-worker -p nightshift-cli \
        --features nightshift-worker/cuda,nightshift-cli/cuda && \
    cp target/release/nightshift-worker target/release/nightshift /

# With cuBLAS, cuRAND and NVRTC, which candle is linked with.
FROM nvidia/cuda:12.9.1-runtime-ubuntu24.04 AS base
RUN echo 'nightshift:x:65532:65532:nightshift:/:/usr/sbin/nologin' >>/etc/passwd && \
    echo 'nightshift:x:65532:' >>/etc/group
# The authorities that a coordinator's certificate is checked against.
COPY --from=rust /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY LICENSE /LICENSE
USER 65532:65532
WORKDIR /

FROM base AS nightshift
COPY --from=build /nightshift /nightshift
ENTRYPOINT ["/nightshift"]

FROM base
COPY --from=build /nightshift-worker /nightshift-worker
ENTRYPOINT ["/nightshift-worker"]
