# Two commands do everything: make serve, make test.
PYTHON ?= python3
PORT ?= 5000
ARGS ?=
# One more than the two cores, for a test often waits for what it started.
ALL := -n 3 --dist worksteal
VENV := .venv
BIN := $(VENV)/bin
# A lock names everything that is needed, so pip has nothing to work out. Without
# --no-deps it asks for the newest of a package that another wants with an extra,
# and refuses it for having no hash, from the day a newer one than ours is out.
FROM_LOCK := pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r
export PORT

# The scanners' own place: semgrep wants older releases of what the site runs on.
SCANNERS := .venv-lint
SCAN := $(SCANNERS)/bin
SCANNED := app vault deploy bench config.py wsgi.py gunicorn.conf.py

# The checker of the pages' HTML, by npm; without npm its tests are skipped.
CHECKER := tests/html/node_modules

.PHONY: install serve test coverage attack mutation bench manual architecture lint lock release

install: $(VENV)/runtime.stamp

# The demo's mail catcher is none of what a site needs, so install leaves it out.
serve: $(VENV)/demo.stamp
	@$(BIN)/python deploy/demo.py

test: $(VENV)/test.stamp $(SCANNERS)/stamp $(CHECKER)/stamp
	@sh tests/system-packages
	@$(BIN)/python -m pytest $(or $(ARGS),$(ALL))

# The same with the branch coverage, which costs a fifth more.
coverage: ARGS = $(ALL) --cov --cov-report=term
coverage: test

# The attack suite at length, against a site of its own; or, before it is opened,
# against yours: make attack URL=https://cards.example.jp OWN_HOST=1
attack: export ATTACK_URL = $(URL)
attack: export ATTACK_EXAMPLES = 2000
attack: export ATTACK_PATIENCE = 2
attack: export ATTACK_TRIES = 200
attack: $(VENV)/test.stamp
	@$(BIN)/python -m pytest tests/attack

# Is what the tests hold held? The tests marked with mutation say which files are
# changed, and must notice it. It takes the better part of an hour.
mutation: $(VENV)/test.stamp
	@rm -rf mutants
	@$(BIN)/python -m tests.mutation

# The pictures of docs/manual.ja.md and README.md, taken anew by the browser's walk with
# the text of each page, and the manual as a PDF.
manual: $(VENV)/test.stamp
	@sh tests/system-packages
	@mkdir -p docs/manual
	@MANUAL_PICTURES=docs/manual $(BIN)/python -m pytest -q tests/browser/test_manual.py -k with-script
	@$(BIN)/python docs/print_manual.py

# The picture of docs/architecture.md, from the imports as they are now.
architecture: $(VENV)/runtime.stamp
	@$(BIN)/python docs/draw_architecture.py

# Ratios side by side in one run; CARDS=20000 ROUNDS=2 make it short.
bench: $(VENV)/test.stamp
	@$(BIN)/python -m bench

# semgrep runs our own rules alone, asks no server and keeps out of the home folder.
lint: export SEMGREP_SEND_METRICS = off
lint: export SEMGREP_SETTINGS_FILE = $(abspath $(SCANNERS))/settings.yml
lint: export SEMGREP_LOG_FILE = $(abspath $(SCANNERS))/semgrep.log
lint: $(VENV)/test.stamp $(SCANNERS)/stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --config setup.cfg
	@$(SCAN)/bandit --quiet -c pyproject.toml -r $(SCANNED)
	@$(SCAN)/semgrep scan --metrics=off --disable-version-check --config .semgrep.yml --strict --error --quiet $(SCANNED) templates

# What is released: wheel and source archive of the tagged commit, in dist/. Each is built
# twice and must come out the same; the wheel is installed from the lock and tried.
release: $(VENV)/test.stamp
	@$(BIN)/python deploy/release.py

# The locks, made anew from setup.cfg, the scanners' from these two names; commit
# what changes.
lock: COMPILE = $(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header
lock: $(VENV)/test.stamp
	@$(BIN)/pip install --quiet pip-tools
	@$(COMPILE) --extra postgres -o requirements.txt setup.cfg
	@$(COMPILE) --extra postgres --extra demo -o requirements-demo.txt setup.cfg
	@$(COMPILE) --extra postgres --extra demo --extra test --extra bench --extra lint --extra mutation -o requirements-dev.txt setup.cfg
	@printf 'bandit\nsemgrep\n' | $(COMPILE) -o requirements-lint.txt -

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Python 3.11 or newer is needed: apt install python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv module is missing: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/runtime.stamp: requirements.txt setup.cfg | $(VENV)/bin/python
	@echo "installing from requirements.txt ..."
	@$(BIN)/$(FROM_LOCK) requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/demo.stamp: requirements-demo.txt $(VENV)/runtime.stamp
	@echo "installing from requirements-demo.txt ..."
	@$(BIN)/$(FROM_LOCK) requirements-demo.txt
	@touch $@

$(VENV)/test.stamp: requirements-dev.txt $(VENV)/runtime.stamp
	@echo "installing from requirements-dev.txt ..."
	@$(BIN)/$(FROM_LOCK) requirements-dev.txt
	@touch $@

$(SCANNERS)/stamp: requirements-lint.txt | $(VENV)/bin/python
	@echo "installing from requirements-lint.txt ..."
	@$(PYTHON) -m venv $(SCANNERS)
	@$(SCAN)/$(FROM_LOCK) requirements-lint.txt
	@touch $@

$(CHECKER)/stamp: tests/html/package-lock.json
	@if command -v npm >/dev/null 2>&1; then \
	    echo "installing from tests/html/package-lock.json ..." && \
	    npm ci --prefix tests/html --silent --no-audit --no-fund && touch $@; \
	else echo "npm is missing here, so the check of the HTML is skipped" >&2; fi
