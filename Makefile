# The front door. Recipes with logic live in scripts/; `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv/.stamp
PROTO_VENV := .venv-proto/.stamp

.DEFAULT_GOAL := help
.PHONY: help setup proto proto-release format lint types check test test-system torture bench demo serve

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)$$/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

setup: $(VENV)  ## create .venv with everything needed (any python3 from 3.11 on)

$(VENV): pyproject.toml constraints.txt scripts/setup_environment.py
	@$(PYTHON) scripts/setup_environment.py .venv

$(PROTO_VENV): constraints-proto.txt scripts/setup_environment.py
	@$(PYTHON) scripts/setup_environment.py .venv-proto

proto: $(VENV) $(PROTO_VENV)  ## regenerate the modules, descriptor set and table of the contract
	@.venv-proto/bin/python scripts/proto.py generate
	@.venv/bin/python scripts/contract_table.py --write && .venv/bin/python scripts/client_acts.py --write
	@.venv/bin/python scripts/verifier_page.py --write && .venv/bin/python scripts/embedded_verifiers.py --write

proto-release: $(PROTO_VENV)  ## make the contract as it stands the one later changes must not break
	@.venv-proto/bin/python scripts/proto.py release

format: $(VENV)  ## rewrite the sources in the project's format
	@.venv/bin/ruff check --fix --quiet . && .venv/bin/ruff format .

lint: $(VENV)  ## ruff, import contracts, scan of the tree
	@.venv/bin/python scripts/check.py ruff format imports tree

types: $(VENV)  ## mypy, strict
	@.venv/bin/python scripts/check.py types

check: $(VENV) $(PROTO_VENV)  ## everything that needs no test run: what CI checks first
	@.venv/bin/python scripts/check.py

test: $(VENV)  ## unit, integration and end-to-end tests
	@.venv/bin/pytest -q

test-system: $(VENV)  ## tests that need Debian packages (installs them as root)
	@.venv/bin/python scripts/marked_tests.py system

torture: $(VENV)  ## the long tests: every byte flipped, every order delivered, kill -9
	@.venv/bin/python scripts/marked_tests.py torture

bench: $(VENV)  ## measure, and print the table of docs
	@.venv/bin/python -m benchmarks

demo: $(VENV)  ## one therapy from harvest to infusion, verified offline
	@PYTHONPATH=scripts .venv/bin/python -m demo.run

serve: $(VENV)  ## leave a ledger running to play with
	@PYTHONPATH=scripts .venv/bin/python -m demo.serve
