# Two commands do all of the set-up on a fresh machine with Python >= 3.11 and make:
#   make lab     JupyterLab on chapter 00        make test     everything that pip alone can run
# `make` lists the rest.

PYTHON   ?=
VENV     ?= .venv$(if $(PYTHON),-$(notdir $(PYTHON)))
LAB_ARGS ?=
DEMO_ARGS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
JOBS     ?= auto

BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
BROWSER_READY := $(VENV)/.ready-browser
BENCH_READY   := $(VENV)/.ready-bench
NODE_READY    := tests/interop/node/node_modules/.ready
LOCKED := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-input -c requirements.lock
PYTEST := $(BIN)/python -m pytest
# JupyterLab asks at first start whether it may fetch news: not in a lesson.
LAB_SETTINGS := $(VENV)/share/jupyter/lab/settings
QUIET := {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}
CHAPTER_00 := notebooks/00_first_echo.ipynb

.DEFAULT_GOAL := help
.PHONY: help lab demo test lint types pytest coverage notebooks exercises captures walk bench \
        conformance conformance-full uvicorn-suite browser peers fleet lock setup clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12 chooses the interpreter, LAB_ARGS='--no-browser --port 8899' goes to JupyterLab,"
	@echo "  PYTEST_ARGS='-k framing' goes to pytest, JOBS=1 runs the tests in one process"

# --- set-up ---------------------------------------------------------------------------------

# The first interpreter that will do: PYTHON if it is given, else the usual names in turn.
$(READY): pyproject.toml requirements.lock refimpl/classroom/bootstrap.py
	@python=; for name in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	    if "$$name" refimpl/classroom/bootstrap.py -q 2>/dev/null; then python="$$name"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    name="$(or $(PYTHON),python3)"; \
	    if command -v "$$name" >/dev/null; then "$$name" refimpl/classroom/bootstrap.py 2>&1; \
	    else echo "$$name was not found: refimpl needs Python 3.11 or newer, as in PYTHON=python3.12"; fi; \
	    exit 1; \
	fi; \
	if [ ! -e $@ ]; then \
	    echo "Setting up $(VENV) with $$($$python -V) (once, a minute or two) ..."; \
	    "$$python" -m venv --clear $(VENV) || exit 1; \
	else \
	    echo "Bringing $(VENV) up to date ..."; \
	fi
	@$(LOCKED) hatchling editables
	@$(LOCKED) --no-build-isolation -e '.[server,lab,test]'
	@mkdir -p $(LAB_SETTINGS) && echo '$(QUIET)' > $(LAB_SETTINGS)/overrides.json
	@touch $@

setup: $(READY)  ## create the environment and nothing more

$(BROWSER_READY): $(READY)
	@$(LOCKED) --no-build-isolation -e '.[server,lab,test,browser]'
	@touch $@

$(BENCH_READY): $(READY)
	@$(LOCKED) --no-build-isolation -e '.[server,lab,test,bench]'
	@touch $@

$(NODE_READY): tests/interop/node/package.json tests/interop/node/package-lock.json
	@command -v npm >/dev/null || { echo "make browser needs Node.js with npm on the PATH"; exit 1; }
	@cd tests/interop/node && npm ci --silent --no-audit --no-fund
	@touch $@

# --- for learners and teachers --------------------------------------------------------------

lab: $(READY)  ## open JupyterLab on chapter 00
	@$(BIN)/refimpl start
	@$(BIN)/python -m jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/$(CHAPTER_00) $(LAB_ARGS)

demo: $(READY)  ## the chat application with its wire panel (DEMO_ARGS='--port 0' and the like)
	@$(BIN)/refimpl demo $(DEMO_ARGS)

# --- everything that pip alone can run --------------------------------------------------------

test: lint types pytest coverage  ## lint, types, tests, notebooks, branch coverage of core and auth

lint: $(READY)  ## ruff: rules and formatting
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet

types: $(READY)  ## mypy --strict on the package
	@$(BIN)/mypy

pytest: $(READY)  ## unit, property and teaching tests, doctests, notebooks and solutions
	@$(PYTEST) --nbval -n $(JOBS) --dist loadfile -q $(PYTEST_ARGS)

coverage: $(READY)  ## every branch of floors 0-3 and of auth, from their own tests
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -n $(JOBS) -p no:cacheprovider $(CORE_TESTS)
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage report

CORE_TESTS = $(wildcard tests/test_errors.py tests/test_handshake*.py tests/test_framing*.py tests/test_messages*.py \
                        tests/test_auth*.py tests/security/test_auth*.py)

# --- for builders -----------------------------------------------------------------------------

notebooks: $(READY)  ## execute and normalise all notebooks
	@$(BIN)/python -m refimpl.classroom.authoring.notebooks

exercises: $(READY)  ## generate exercises/ from solutions/
	@$(BIN)/python -m refimpl.classroom.authoring.generate

captures: $(BROWSER_READY) $(NODE_READY)  ## record the captures, the chat and the crowd again
	@$(BIN)/python -m tools.record.programs
	@$(BIN)/python -m tools.record.handshakes
	@$(BIN)/python -m tools.record.auth
	@$(BIN)/python -m tools.record.chat
	@$(BIN)/python -m tools.record.crowd 10000

walk: $(READY)  ## the files that one echo and one Close pass through, printed and drawn
	@$(BIN)/python -m tools.walk --svg notebooks/pictures/route.svg

bench: $(BENCH_READY)  ## parsing, then the whole server, beside their peers (ten minutes)
	@$(BIN)/python -m tests.bench.parse
	@$(BIN)/refimpl bench $(BENCH_ARGS)

conformance: $(READY)  ## Autobahn, both roles, the 247 functional cases (needs Python 2.7)
	@$(BIN)/python -m tests.conformance.run

conformance-full: $(READY)  ## Autobahn, both roles, all 517 cases (half an hour)
	@$(BIN)/python -m tests.conformance.run --cases all --record refimpl/lab/records/autobahn.json

uvicorn-suite: $(READY)  ## uvicorn's own WebSocket tests with our engine (its source comes from pip)
	@$(BIN)/python -m tests.conformance.uvicorn_suite

browser: $(BROWSER_READY) $(NODE_READY)  ## Chromium, Node peers, a chapter run in JupyterLab
	@$(PYTEST) -q -m "chromium or node" tests/interop tests/browser $(PYTEST_ARGS)

peers: $(BENCH_READY)  ## the bench's rarer peers, each for a moment (needs Go; picows and uvloop from pip)
	@$(PYTEST) -q -m peers tests/test_bench.py tests/test_engine_live.py $(PYTEST_ARGS)

fleet: $(READY)  ## nodes, Valkey and a cluster of six, killed, stopped and cut off (some minutes)
	@$(PYTEST) -q -m fleet $(FLEET_TESTS) $(PYTEST_ARGS)

FLEET_TESTS = $(wildcard tests/test_sessions_*.py tests/fleet)

# Exact versions of everything, for every supported Python and platform in one file. uv writes it
# because pip cannot resolve for interpreters and platforms other than its own.
lock:  ## write requirements.lock anew from pyproject.toml
	@mkdir -p .tools && printf 'hatchling\neditables\n' > .tools/build.in
	@test -x .tools/uv/bin/uv || { $(or $(PYTHON),python3) -m venv .tools/uv && .tools/uv/bin/pip install -q uv; }
	@{ echo "# Exact versions that the committed outputs were made with: 'make lock' writes this file."; \
	   .tools/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --all-extras --upgrade \
	       --no-header --no-annotate --no-emit-index-url pyproject.toml .tools/build.in; \
	} > .tools/requirements.lock && mv .tools/requirements.lock requirements.lock

clean:  ## remove environments and caches (never workspace/)
	@rm -rf .venv .venv-* .tools tests/interop/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
