# `make test` is the whole of CI: it installs what the tests need and runs all of them.
# `make verify` never writes to the tree; `make fix` is its mutating twin.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
export ASSAY_SHARED ?= $(abspath ../shared)
TOOLS := $(HOME)/.cache/assay/tools
PY := $(TOOLS)/python/bin/python

.PHONY: help tools verify fix lint test unit chaos bench fuzz soak clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

tools: ## install what the tests need (Rust components, Python packages)
	@bash .ci/tools "$(TOOLS)"

lint: ## formatting and lints, without changing anything
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet

unit: tools ## all tests
	ASSAY_PYTHON="$(PY)" $(CARGO) test --workspace --locked

test: tools lint unit ## what CI runs

verify: lint unit ## the same, tools assumed

fix: ## format and apply what clippy can
	$(CARGO) fmt --all
	$(CARGO) clippy --workspace --all-targets --fix --allow-dirty --allow-staged -- -D warnings

bench: tools ## the yardstick beside DuckDB and Polars, with ratios
	@bash docs/bench/run "$(PY)"
