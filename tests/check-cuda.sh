#!/usr/bin/env bash
# Compiles what a GPU needs, by the CUDA of a Python environment: tests/check-cuda.sh ENVIRONMENT
#
# The kernels of candle go through nvcc and our code through clippy, for x86-64 with glibc. Nothing
# is linked and nothing runs: libcuda belongs to the driver of a GPU, and no wheel has it.
set -euo pipefail
cuda=$(cd "$1"/lib/python3*/site-packages/nvidia/cu13 && pwd)
# Where several are named, build scripts look in all of them.
unset CUDA_ROOT CUDA_TOOLKIT_ROOT_DIR
export CUDA_HOME=$cuda CUDA_PATH=$cuda NVCC=$cuda/bin/nvcc PATH=$cuda/bin:$PATH
# Without one the build asks a GPU. Its PTX runs on later ones too.
export CUDA_COMPUTE_CAP=80
# By itself it leaves half of the cores idle.
export CUDAFORGE_THREADS=${CUDAFORGE_THREADS:-$(nproc)}
cd "$(dirname "$0")/.."
# A folder of its own: other features make other builds of the same crates.
exec "${CARGO:-cargo}" clippy --locked --target-dir target/cuda \
	-p nightshift-worker -p nightshift-cli --features nightshift-worker/cuda,nightshift-cli/cuda \
	-- -D warnings
