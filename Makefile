# The words people and CI share. A fresh machine needs Python >= 3.11, pip and make; everything else
# installs itself into .venv, once, from requirements/ (exact versions with hashes).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

bin := .venv/bin
stamp := .venv/installed
# The first interpreter that really starts and is new enough; `make PYTHON=...` overrides.
PYTHON ?= $(shell for each in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$each" && break; done)
# uv does not read pip's configuration: where pip has an index of its own, uv uses it too.
index = $(or $(UV_DEFAULT_INDEX),$(PIP_INDEX_URL),$(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null))
uv = VIRTUAL_ENV=$(CURDIR)/.venv $(if $(index),UV_DEFAULT_INDEX='$(index)') $(bin)/uv
home := $(if $(HOME_DIR),--home $(HOME_DIR))
pytest := $(bin)/python -m pytest
# Tests wait for processes more than they compute: two at a time suit two cores.
WORKERS ?= 2

.PHONY: help demo up down test check format bench soak images docs lock clean

help: ## what can be said here
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(stamp) ## from nothing to a prediction with the real BentoML client (three minutes cold)
	@$(bin)/yokocho demo $(ARGS)

up: $(stamp) ## start the platform on this machine (HOME_DIR=... for another home)
	@$(bin)/yokocho up --detach $(home) $(ARGS)

down: $(stamp) ## stop it
	@$(bin)/yokocho down $(home) $(ARGS)

test: check ## everything but the long forms
	$(pytest) -m "not soak" --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

soak: $(stamp) ## the long forms: kills at random moments, power cuts
	$(pytest) -m soak --timeout 3600 $(ARGS)

check: $(stamp) ## style, types, layers
	@$(bin)/ruff check .
	@$(bin)/ruff format --check --quiet .
	@$(bin)/mypy
	@out=$$($(bin)/lint-imports --no-cache 2>&1) || { echo "$$out"; exit 1; }

format: $(stamp) ## put code into its shape
	@$(bin)/ruff check --fix --quiet . || true
	@$(bin)/ruff format .

bench: $(stamp) ## every benchmark; `make bench-bus` is one of them
	@$(bin)/python -m bench $(ARGS)

bench-%: $(stamp)
	@$(bin)/python -m bench $* $(ARGS)

images: $(stamp) ## our own container image, without Docker: BASE=image or layout, INTO=folder, PUSH=registry/name:tag
	@$(if $(index),UV_DEFAULT_INDEX='$(index)') $(bin)/python -m deploy.images \
		$(if $(BASE),--base $(BASE)) $(if $(INTO),--into $(INTO)) $(if $(PUSH),--push $(PUSH))

docs: $(stamp) ## write the generated pages anew
	@$(bin)/python -m docs.generate

lock: $(stamp) ## resolve requirements/ anew
	@for each in runtime uv dev client mlflow; do $(MAKE) lock-$$each; done

compile = $(uv) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

.PHONY: lock-runtime lock-uv lock-dev lock-client lock-mlflow
lock-runtime:
	@$(compile) pyproject.toml --extra cli --output-file requirements/runtime.txt
lock-uv:
	@echo uv | $(compile) - --constraint requirements/runtime.txt --output-file requirements/uv.txt
lock-dev:
	@$(compile) pyproject.toml --extra cli --group dev --constraint requirements/runtime.txt --output-file requirements/dev.txt
lock-client: # BentoML clients of the demo and the tests, which never meet our own environment
	@$(compile) cli/demo/client.in --output-file cli/demo/client.txt
	@for each in 1.0 1.1 1.2 1.3; do \
		$(compile) tests/data/clients/bentoml-$$each.in --output-file tests/data/clients/bentoml-$$each.txt; done
lock-mlflow: # what `make bench-mlflow` measures against
	@$(compile) bench/mlflow.in --output-file bench/mlflow.txt

clean: ## forget .venv and every cache
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(stamp): pyproject.toml requirements/uv.txt requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found on PATH." >&2; exit 1; }
	@# --without-pip, then pip from outside: Debian's Python has no ensurepip.
	@test -x $(bin)/python || $(PYTHON) -m venv --without-pip .venv
	@test -x $(bin)/uv || $(PYTHON) -m pip --python $(bin)/python install --quiet --require-hashes -r requirements/uv.txt
	@$(uv) pip sync --quiet --require-hashes requirements/dev.txt
	@$(uv) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
