#!/usr/bin/env bash
# Checks the code for GPUs: tests/cuda/check.sh [ENVIRONMENT]
#
# Without an environment our code goes through clippy, with nothing in the place of candle's kernels: that
# takes a minute more than clippy without the feature. With an environment of Python that has tests/cuda/requirements.txt the
# kernels go through its nvcc, too, for x86-64 with glibc: some ten minutes of two cores. Nothing is linked
# and nothing runs: libcuda belongs to the driver of a GPU, and no wheel has it.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Where several are named, build scripts look in all of them.
unset CUDA_ROOT CUDA_TOOLKIT_ROOT_DIR CUDA_HOME CUDA_PATH
features=nightshift-worker/cuda,nightshift-cli/cuda
# Without one the build asks a GPU. Its PTX runs on later ones too.
export CUDA_COMPUTE_CAP=80
if (($#)); then
	cuda=$(cd "$1"/lib/python3*/site-packages/nvidia/cu13 && pwd)
	export CUDA_HOME=$cuda CUDA_PATH=$cuda NVCC=$cuda/bin/nvcc PATH=$cuda/bin:$PATH
	# By itself it leaves half of the cores idle.
	export CUDAFORGE_THREADS=${CUDAFORGE_THREADS:-$(nproc)}
	# A folder of its own: what the kernels became would be taken for the stand-in's.
	exec "${CARGO:-cargo}" clippy --locked --workspace --target-dir target/cuda --features "$features" -- -D warnings
fi
export NVCC=$PWD/tests/cuda/nvcc PATH=$PWD/tests/cuda:$PATH
exec "${CARGO:-cargo}" clippy --locked --workspace --features "$features" -- -D warnings
