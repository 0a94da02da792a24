# Set-up and wrappers. `make help` lists the targets; `make study` is the one to start with.

CORES ?= all
CONFIG ?=
ARGS ?=

.DEFAULT_GOAL := help
python := .venv/bin/python
bin := .venv/bin
wrapper_options := --cores $(CORES) $(addprefix --configfile ,$(CONFIG)) $(if $(ARGS),-- $(ARGS))

# The library is imported from its folder; nothing is built or installed for it.
export PYTHONPATH := workflow/scripts

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  Options of make study: CORES=4, CONFIG=other.yaml, ARGS='further options of snakemake'."
	@echo "  PYTHON=/path/to/python3.13 names the Python that .venv is made from."

.PHONY: study
study: environment ## run the studies of config/config.yaml, up to their reports
	@$(python) -m multilevel run $(wrapper_options)

.PHONY: validate
validate: environment ## check a study file without running anything: make validate STUDY=config/studies/radon.yaml
	@$(python) -m multilevel validate $(STUDY)

.PHONY: test
test: checks ## run every check and every test, some files at a time
	$(python) -m pytest -n auto --maxprocesses 4 --dist loadfile

.PHONY: check
check: checks ## run the checks and the unit tests, in under a minute
	$(python) -m pytest tests/unit -q -n auto -m "not slow and not browser and not oracle and not cluster"

.PHONY: checks
checks: environment
	$(bin)/ruff format --check
	$(bin)/ruff check
	$(python) -m mypy
	$(bin)/snakefmt --check Snakefile workflow
	$(python) -m snakemake --lint
	$(bin)/lint-imports

.PHONY: format
format: environment ## format the Python and Snakemake code
	$(bin)/ruff format
	$(bin)/ruff check --fix-only
	$(bin)/snakefmt Snakefile workflow

# Where the environment is whole this does nothing and touches no network.
.PHONY: environment
environment: ## make .venv from envs/requirements.lock, where it is not current
	@for candidate in $(PYTHON) python3.13 python3 python3.12; do \
	    if $$candidate -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' 2> /dev/null; then \
	        exec $$candidate envs/install.py; \
	    fi; \
	done; \
	echo "No Python 3.12 or newer was found (tried $(strip $(PYTHON) python3.13 python3 python3.12)). Install" \
	    "Python 3.13, which .python-version asks for, or name one: make PYTHON=/path/to/python3.13 ..." >&2; \
	exit 1

.PHONY: quarto
quarto: ## try again to install Quarto, where the first attempt failed
	$(RM) .venv/.quarto.json
	@$(MAKE) --no-print-directory environment

# uv lives in a folder of its own that is thrown away: it is no part of the environment.
# Versions stay as they are where they can; `make lock UPGRADE=--upgrade` takes the newest.
lock_options := --universal --python-version 3.13 --generate-hashes --custom-compile-command "make lock" \
    --no-emit-index-url --no-emit-find-links $(UPGRADE)

.PHONY: lock
lock: environment ## write the lock files from envs/*.in, and the conda environments from them
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(python) -m venv "$$folder"; \
	"$$folder/bin/python" -m pip install -qq --disable-pip-version-check uv; \
	export UV_SYSTEM_CERTS=true UV_NATIVE_TLS=true; \
	"$$folder/bin/uv" pip compile -q $(lock_options) envs/requirements.in -o envs/requirements.lock; \
	"$$folder/bin/uv" pip compile -q $(lock_options) --no-deps envs/quarto.in -o envs/quarto.lock
	$(python) -m multilevel.environments
	@$(MAKE) --no-print-directory environment

.PHONY: clean-environment
clean-environment: ## remove .venv; nothing in this file removes results
	rm -rf .venv
