# Everything a person or a machine does here has a target; `make` alone lists them.
# `make check` is the whole truth: a rule that is not in it is not a rule.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
WORKERS ?= 3
SPARE ?= 0
ARGS ?=
SCALE ?= 1
BIN := .venv/bin
INSTALLED := .venv/.installed
UV_PIN := $(shell sed -n 's/^ *"\(uv==[^"]*\)".*/\1/p' pyproject.toml)

# The environment is ours alone: a surrounding one, or its search path, must not leak in.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE VIRTUAL_ENV CONDA_PREFIX UV_PYTHON
export UV_PROJECT_ENVIRONMENT := .venv

.PHONY: help install demo serve test check coverage lint types imports format openapi schema bench sim prove clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1: \2/p' Makefile

install: $(INSTALLED) ## put Tallybook and its tools into .venv (needs Python 3.11 or newer, pip, make and git)

# pip brings uv, uv brings the rest exactly as locked, trusting the certificates that this machine
# trusts. Where only pip reaches a package index (a mirror in pip.conf), pip brings the same locked
# versions, hashes checked; without looking at dependencies, for the lock has all of them, and
# older pips take `coverage[toml]` for something that it does not have.
$(INSTALLED): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Tallybook needs Python 3.11 or newer: make install PYTHON=/path/to/python3.11' >&2; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv --without-pip .venv
	@[ "$$($(BIN)/uv --version 2>/dev/null | cut -d ' ' -f 2)" = "$(UV_PIN:uv==%=%)" ] \
	  || $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check '$(UV_PIN)'
	@$(BIN)/uv sync --frozen --quiet --system-certs || { \
	  echo 'uv could not install the locked packages; trying pip, which may know another package index' >&2; \
	  $(BIN)/uv export --frozen --quiet --no-emit-project --output-file .venv/locked.txt; \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/locked.txt; \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-deps --editable .; }
	@touch $(INSTALLED)
	@echo 'installed: .venv/bin/tallybook'

demo: install ## pay out and collect 682 real advances on a simulated Processor, and compare the books
	@$(BIN)/tallybook demo $(ARGS)

serve: install ## serve the API on http://127.0.0.1:8000 (ARGS=... for options)
	@$(BIN)/tallybook serve $(ARGS)

test: install ## run the tests on SQLite and on a real PostgreSQL (WORKERS=3, ARGS='-k name', ARGS=--everything)
	@$(BIN)/pytest -n $(WORKERS) --spare $(SPARE) $(ARGS)

# Where all is done sooner than this, more books are simulated until then. Units: seconds, from here.
BEGAN := $(shell date +%s)
check: SPARE = 540
check: export TALLYBOOK_TEST_BEGAN_AT = $(BEGAN)
check: lint types imports test ## everything that must hold: lint, types, imports, tests on both databases

# Not part of the check: watching every line makes a test two or three times as slow. It can't see
# into other processes either, so it is told of the tests that stay in their own.
coverage: install ## tell which branches the unit and HTTP tests reach
	@$(BIN)/pytest -n $(WORKERS) --cov --cov-report=term:skip-covered $(ARGS) tests/golden tests/http tests/unit

lint: install ## check style and layout
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: install ## check types
	@$(BIN)/basedpyright

imports: install ## check that imports go one way
	@$(BIN)/lint-imports --no-logo

format: install ## put code into the one layout and fix what can be fixed
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

openapi: install ## write docs/api/openapi.json anew
	@$(BIN)/python -m tallybook.entrypoints.openapi docs/api/openapi.json

schema: install ## write src/tallybook/db/fresh_book.sql anew, after a new migration
	@$(BIN)/python -m tallybook.entrypoints.fresh_book src/tallybook/db/fresh_book.sql

bench: install ## list the benchmarks behind docs/benchmarks.md, or run one (ARGS='counter --seconds 5')
	@$(BIN)/python -m bench $(ARGS)

sim: install ## play simulated books (ARGS='--seed 1 --seeds 20 --steps 200 --database postgresql')
	@$(BIN)/python -m tests.sim $(ARGS)

prove: install ## run the long proof (SCALE=0.05 for a short one, ARGS='--only NAME --minutes 10')
	@$(BIN)/python -m tests.proof --scale $(SCALE) $(ARGS)

clean: ## remove .venv and what tools leave behind
	@rm -rf .venv .coverage .coverage.* htmlcov .hypothesis .import_linter_cache .pytest_cache .ruff_cache build dist
