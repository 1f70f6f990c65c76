# syntax=docker/dockerfile:1
# The worker, which scores on the CPU.
#
#   docker build -f deploy/images/worker.Dockerfile -t ghcr.io/nightshift-dev/nightshift-worker:0.1.0 .
#
# One static program on an empty base: no shell, no package manager, nothing to update but itself.
FROM rust:1.95 AS build
WORKDIR /src
COPY . .
# With --target, so that procedural macros of the build are not linked statically.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    target="$(rustc -vV | sed -n 's/^host: //p')" && \
    RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --target "$target" -p nightshift-worker && \
    cp "target/$target/release/nightshift-worker" /nightshift-worker
RUN mkdir -p /root-fs/etc && \
    echo 'nightshift:x:65532:65532:nightshift:/:/sbin/nologin' >/root-fs/etc/passwd && \
    echo 'nightshift:x:65532:' >/root-fs/etc/group && \
    echo 'hosts: files dns' >/root-fs/etc/nsswitch.conf && \
    install -d -m 1777 /root-fs/tmp

FROM scratch
COPY --from=build /root-fs/ /
# The authorities that a coordinator's certificate is checked against.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY LICENSE /LICENSE
COPY --from=build /nightshift-worker /nightshift-worker
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/nightshift-worker"]
