# Everything needs only Python (see .python-version) and make; uv is brought along when it is missing.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
export PYTHONDONTWRITEBYTECODE :=
export UV_PYTHON_DOWNLOADS := never

UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := $(UV) run --frozen
DOSE ?= 1
# One more than cores: tests wait for servers, leases and heartbeats as often as they compute.
PROCESSES ?= $(shell python3 -c 'import os; print(os.cpu_count() + 1)')

.PHONY: help demo down test lint format openapi reference migration show-house show-lake show-machines show-money providers test-publish clean

help:  ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

.tools/bin/uv:
	python3 -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv

.venv/.synced: uv.lock pyproject.toml | $(filter .tools/bin/uv,$(UV))
	$(UV) sync --frozen --quiet
	touch $@

demo: .venv/.synced  ## The main job on real data, start to end
	@$(RUN) python -m demo

down: .venv/.synced  ## Stop all that the demo started
	@$(RUN) python -m demo.down

test: .venv/.synced  ## The whole test suite
	@tools/debian.sh
	$(RUN) pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

test-publish: .venv/.synced  ## Tests of the publishing process; its libraries are 700 MB, so that they are not in the others' environment
	$(RUN) --group publish pytest -n 2 --dist loadfile tests/integrations/test_publishing.py $(ARGS)

lint: .venv/.synced  ## Style, types, and the rules of who imports whom
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports

format: .venv/.synced  ## Put the code in shape
	$(RUN) ruff check --fix --quiet . || true
	$(RUN) ruff format .

openapi: .venv/.synced  ## Write openapi.json anew
	$(RUN) python -m tools.openapi > openapi.json

reference: .venv/.synced  ## Write docs/reference anew, from the code
	$(RUN) python -m tools.reference

migration: .venv/.synced  ## A new migration from the tables: make migration NAME="what changes"
	$(RUN) python -m tools.migration "$(NAME)"

show-house: .venv/.synced  ## Every promise of the house at full dose, as a table; DOSE=0.05 for a small one
	$(RUN) python -m show.house --dose $(DOSE) $(foreach line,$(ONLY),--only $(line))

show-lake: .venv/.synced  ## Every promise of the lake at full dose, as a table; DOSE=0.05 for a small one
	$(RUN) python -m show.lake --dose $(DOSE) $(foreach line,$(ONLY),--only $(line))

show-machines: .venv/.synced  ## Every promise of the machines at full dose, as a table; DOSE=0.05 for a small one
	$(RUN) python -m show.machines --dose $(DOSE) $(foreach line,$(ONLY),--only $(line))

show-money: .venv/.synced  ## Every promise of money at full dose, as a table; DOSE=0.05 for a small one
	$(RUN) python -m show.money --dose $(DOSE) $(foreach line,$(ONLY),--only $(line))

providers: .venv/.synced  ## The one contract suite against every provider, its page and its story, on its real server or stand-in
	@tools/debian.sh slurmdbd mariadb-server
	SITES=1 $(RUN) pytest -n 2 --dist loadfile tests/providers tests/end_to_end/test_sites.py $(ARGS)

bench: .venv/.synced  ## What things cost, beside their peers in the same run
	$(RUN) python -m benchmarks
	$(RUN) python -m benchmarks.views
	$(RUN) python -m benchmarks.audit

clean:  ## Forget what was built here
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis
