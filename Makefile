# `make test` is the whole of CI: it installs what the tests need and runs all of them.
# `make verify` never writes to the tree; `make fix` is its mutating twin.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
export ASSAY_SHARED ?= $(abspath ../shared)
TOOLS := $(HOME)/.cache/assay/tools
# What a cluster needs; the embedded program is built without it.
FEATURES := assay-store/postgres,assay-coordination/etcd,assay-manager/cluster,assay-datanode/cluster,assay-gateway/cluster
# What a cluster on AWS needs besides.
CLOUD := assay-registry/dynamodb,assay-scheduler/lambda,assay/cloud,assay-manager/cloud,assay-datanode/cloud,assay-gateway/cloud
PY := $(TOOLS)/python/bin/python

.PHONY: help tools images verify fix lint deny test unit infra chaos drills fuzz bench bench-cluster bench-gateway score screenshots

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

tools: ## install what the tests need (Rust components, Python packages, Postgres)
	@bash .ci/tools "$(TOOLS)"

lint: ## formatting and lints, without changing anything
	"$(TOOLS)/hadolint/bin/hadolint" infra/images/Dockerfile
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --features $(FEATURES),$(CLOUD) --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --features $(FEATURES),$(CLOUD) --no-deps --locked --quiet

unit: tools ## all tests
	ASSAY_PYTHON="$(PY)" $(CARGO) test --workspace --features $(FEATURES),$(CLOUD) --locked --no-fail-fast

infra: ## Terraform: format, tests, applied to a server of AWS APIs and destroyed, rules over what is planned (STEPS: some of them)
	ASSAY_TOOLS="$(TOOLS)" python3 infra/test/run $(STEPS)

test: tools lint unit infra ## what CI runs

verify: lint unit ## the same, tools assumed

fix: ## format and apply what clippy can
	$(CARGO) fmt --all
	$(CARGO) clippy --workspace --all-targets --features $(FEATURES),$(CLOUD) --fix --allow-dirty --allow-staged -- -D warnings

deny: ## bans, licences, sources and unused dependencies; builds cargo-deny and cargo-machete at first
	@test -x $(TOOLS)/bin/cargo-deny || $(CARGO) install --quiet --locked --root $(TOOLS) cargo-deny@0.20.2
	@test -x $(TOOLS)/bin/cargo-machete || $(CARGO) install --quiet --locked --root $(TOOLS) cargo-machete@0.9.2
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) deny --offline check bans licenses sources
	PATH="$(TOOLS)/bin:$$PATH" $(CARGO) machete

chaos: export ASSAY_DRILL_CROWD ?= 1000
chaos: drills ## the drills of a cluster of up to ASSAY_DRILL_CROWD (1000) nodes, the gateway for AWAY (300) seconds without its store, then the manager's core under SEEDS (2000) hostile worlds from seed FIRST (0)
	ASSAY_AWAY_SECONDS=$(or $(AWAY),300) $(CARGO) test --locked -p assay-gateway --features assay-gateway/cluster --test away stopped -- --nocapture
	ASSAY_SIM_SEEDS=$(or $(SEEDS),2000) ASSAY_SIM_FIRST=$(or $(FIRST),0) $(CARGO) test --locked -p assay-manager-core every_seed -- --nocapture

drills: ## ROUNDS (1) rounds of the drills of a cluster of processes, their timings drawn from SEED (1) on
	$(CARGO) build --locked -p assay-manager -p assay-datanode -p assay-query -p assay --features $(FEATURES)
	for seed in $$(seq $(or $(SEED),1) $$(( $(or $(SEED),1) + $(or $(ROUNDS),1) - 1 ))); do \
	  ASSAY_DRILL_SEED=$$seed $(CARGO) test --locked -p assay-cluster-tests --test drills || exit 1; done

fuzz: ## every property with CASES (5000) cases, and 10 statements of SQL and 20 broken files for each (from SEED)
	PROPTEST_CASES=$(or $(CASES),5000) $(CARGO) test --locked -p assay-model -p assay-contract -p assay-metrics -p assay-judge -p assay-scan -p assay-proto -p assay-scheduler
	PROPTEST_CASES=$(or $(CASES),5000) $(CARGO) test --locked -p assay-manager-core --lib tests::hostile
	ASSAY_HOSTILE_SQL=$$(( $(or $(CASES),5000) * 10 )) ASSAY_HOSTILE_SEED=$(or $(SEED),1) $(CARGO) test --locked --workspace --features $(FEATURES),$(CLOUD) --test hostile -- by_dice
	ASSAY_HOSTILE_FILES=$$(( $(or $(CASES),5000) * 20 )) ASSAY_HOSTILE_SEED=$(or $(SEED),1) $(CARGO) test --locked -p assay-datanode --test child -- a_broken_file

score: ## the judge's score against the anchors of the benchmark
	$(CARGO) test --locked -p assay-judge --test score -- --nocapture

screenshots: ## every page as a picture, light and dark, wide and narrow, in FOLDER (target/screenshots)
	ASSAY_SCREENSHOTS="$(abspath $(or $(FOLDER),target/screenshots))" $(CARGO) test --locked -p assay-pages --test browser
	ASSAY_SCREENSHOTS="$(abspath $(or $(FOLDER),target/screenshots))" $(CARGO) test --locked -p assay --test walk

images: ## images of the development build, built twice and looked at; needs root, buildah and debootstrap
	$(CARGO) build --locked -p assay-manager -p assay-datanode -p assay-query -p assay --features $(FEATURES),assay-manager/cloud,assay-datanode/cloud
	infra/images/test "$${CARGO_TARGET_DIR:-target}/debug" manager datanode gateway cli

bench: tools ## the yardstick beside DuckDB and Polars, with ratios
	@bash docs/bench/run "$(PY)"

bench-cluster: ## the cluster's figures: PARTS (throughput takeover faults, all without; embedded million), on etcd and Postgres
	$(CARGO) build --release --locked -p assay-manager --features assay-manager/cluster
	$(CARGO) bench --locked -p assay-cluster-tests --features bench --bench cluster -- $(PARTS)

bench-gateway: ## the gateway's figures and goals: PARTS (cached uncached told overload; all without), on Postgres; needs wrk
	$(CARGO) bench --locked -p assay-gateway --features assay-gateway/cluster --bench load -- $(PARTS)
