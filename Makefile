# Every target makes .venv itself when it is missing: a fresh clone needs only python3 (3.11 or newer).
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Without bytecode each of the thousand processes of a test run would compile ackfirst anew, and each of pytest's rewrite
# all tests: 12 s instead of 5.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo dev test lint docs bench chaos compose-test clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv and install ackfirst with its development tools

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo 'installing into .venv (once; about a minute)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP) ## run the whole road once on this machine and print the ledger
	@$(BIN)/ackfirst demo

dev: $(STAMP) ## run everything in one terminal until Ctrl-C
	@$(BIN)/ackfirst dev

test: $(STAMP) ## run all tests
	@$(BIN)/python -m pytest -n 4 --dist worksteal -q

lint: $(STAMP) ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(STAMP) ## write the generated tables of docs/ and .env.example anew
	@$(BIN)/python -m tools.docs

bench: $(STAMP) ## measure everything against its references and write docs/performance.md; about twenty minutes
	@$(BIN)/python -m bench --page docs/performance.md

chaos: $(STAMP) ## bring about every fault and write docs/reliability.md; fails when anything is missing
	@$(BIN)/python -m tests.chaos --page docs/reliability.md

compose-test: $(STAMP) ## run the compose stack on a Docker engine, through restarts of everything; fails when anything is missing
	@$(BIN)/python -m tests.compose

clean: ## remove .venv, caches and the development data folder
	@rm -rf .venv .ackfirst .mypy_cache .ruff_cache .pytest_cache .hypothesis
