# syntax=docker/dockerfile:1
# The command line, for Jobs that submit, backfill or run in one pod.
#
#   docker build -f deploy/images/nightshift.Dockerfile -t ghcr.io/nightshift-dev/nightshift:0.1.0 .
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
    cargo build --release --locked --target "$target" -p nightshift-cli && \
    cp "target/$target/release/nightshift" /nightshift
RUN mkdir -p /root-fs/etc && \
    echo 'nightshift:x:65532:65532:nightshift:/:/sbin/nologin' >/root-fs/etc/passwd && \
    echo 'nightshift:x:65532:' >/root-fs/etc/group && \
    echo 'hosts: files dns' >/root-fs/etc/nsswitch.conf && \
    install -d -m 1777 /root-fs/tmp

FROM scratch
COPY --from=build /root-fs/ /
# The authorities that certificates of Redis and of a coordinator are checked against.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY LICENSE /LICENSE
COPY --from=build /nightshift /nightshift
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/nightshift"]
