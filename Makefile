# Each target does all of its own set-up, in .venv and in folders that git ignores: see .ci/environment.
# Set-up speaks on stderr, so that the stdout of `make dev` is that of `onetrip dev`.

.DEFAULT_GOAL := help
BIN := .venv/bin
NODE_MODULES := tests/integration/node/node_modules

.PHONY: help dev test lint proto environment node

help:
	@echo "make dev     PostgreSQL, a pool node and an edge node; prints READY and a connection string (ARGS='--listen HOST:PORT …')"
	@echo "make test    ruff, mypy, import-linter, then pytest (ARGS='tests/edge -k name')"
	@echo "make lint    what make test runs before pytest"
	@echo "make proto   protos/link/link_pb2.py from link.proto"

dev: environment
	@exec $(BIN)/python -m deploy dev $(ARGS)

test: lint node
	@$(BIN)/python -m pytest $(ARGS)

lint: environment
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports

proto: environment
	@$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. protos/link/link.proto

environment:
	@sh .ci/environment >&2

# node-postgres for the driver tests. Without npm, or without a registry, those tests are skipped and say so.
node:
	@if command -v npm >/dev/null && ! cmp -s tests/integration/node/package.json $(NODE_MODULES)/.installed; then \
	  npm install --prefix tests/integration/node --cache $(NODE_MODULES)/.cache --no-save --no-package-lock \
	    --no-audit --no-fund --ignore-scripts --loglevel=error >&2 \
	  && cp tests/integration/node/package.json $(NODE_MODULES)/.installed \
	  || echo "node-postgres could not be installed" >&2; fi
