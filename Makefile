# Each target does all of its own set-up, in .venv and in folders that git ignores: see .ci/environment.
# Set-up speaks on stderr, so that the stdout of `make dev` is that of `onetrip dev`.

.DEFAULT_GOAL := help
BIN := .venv/bin
NODE := bench/driver_scripts/node
NODE_MODULES := $(NODE)/node_modules
NODE_TESTS := tests/integration/node
# Tests wait more than they compute. Each file stays in one process; ARGS='-n0 …' is one process, for --pdb and the like.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder
# CI's machine is shared: there a test that fails is run once more, and the summary names it, for it wants mending.
RERUNS := $(if $(CI),--reruns 1 -rR)

.PHONY: help dev test lint proto environment node

help:
	@echo "make dev     PostgreSQL, a pool node and an edge node; prints READY and a connection string (ARGS='--listen HOST:PORT …')"
	@echo "make test    ruff, mypy, import-linter, then pytest (ARGS='tests/edge -k name')"
	@echo "make lint    what make test runs before pytest"
	@echo "make proto   protos/link/link_pb2.py from link.proto"

dev: environment
	@exec $(BIN)/python -m deploy dev $(ARGS)

test: lint node
	@$(BIN)/python -m pytest $(WORKERS) $(RERUNS) $(ARGS)

lint: environment
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports

proto: environment
	@$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. protos/link/link.proto

environment:
	@sh .ci/environment >&2

# The drivers from npm, for the tests and for `python -m bench drivers`. Without npm, or without a registry, those tests are
# skipped and say so.
node:
	@if command -v npm >/dev/null && ! cmp -s $(NODE)/package.json $(NODE_MODULES)/.installed; then \
	  npm install --prefix $(NODE) --cache $(NODE_MODULES)/.cache --no-save --no-package-lock \
	    --no-audit --no-fund --ignore-scripts --loglevel=error >&2 \
	  && cp $(NODE)/package.json $(NODE_MODULES)/.installed \
	  && rm -rf $(NODE_TESTS)/node_modules \
	  && ln -s ../../../$(NODE_MODULES) $(NODE_TESTS)/node_modules \
	  || echo "the drivers from npm could not be installed" >&2; fi
