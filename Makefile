# The developer's commands; CI runs these and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: run test races approve pictures faults bench bench-cleanup check format lock docs audit sbom clean help

help: ## This list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

run: $(READY) ## Start the sandbox and book seats; ARGS=--once does one booking and ends.
	@exec $(BIN)/python -m sandbox $(ARGS)

# Most tests wait for servers and workers: each file of them in one of three processes, each with its own house.
# In the order of their names: by the number of their tests, the files with one long test would come last.
test: $(READY) ## All tests, on real servers; ARGS are pytest's.
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

RACES ?= 100000

races: $(READY) ## Bookings, payments and releases at random against each other, RACES of them; prints seed and counts.
	@RACES=$(RACES) $(BIN)/python -m pytest -q -rP --show-capture=stderr tests/integration/test_races.py

approve: $(READY) ## Take what each kind of message says now for right; look at the diff of tests/approved.
	$(BIN)/python -m pytest -q tests/unit/test_approved.py --approve

pictures: $(READY) ## Take docs/pictures of what passengers and operators see, anew: 20 min; needs Chromium.
	@exec $(BIN)/python -m sandbox.pictures

faults: $(READY) ## Break each part of the platform and count what passengers got; ARGS=--list names the faults.
	@exec $(BIN)/python -m tests.faults $(ARGS)

bench-cleanup: $(READY) ## What deleting old positions costs, of ten million; ARGS=--smoke takes seconds.
	@exec $(BIN)/python -m bench cleanup $(ARGS)

bench: $(READY) ## What all costs beside what one would use instead, into docs/benchmarks.md; ARGS=--smoke or a name.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r bench/requirements.txt
	@exec $(BIN)/python -m bench $(ARGS)

check: $(READY) ## Lint, format, types, and who imports whom.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit -q -c pyproject.toml -r app
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Put imports and lines in order.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## The documentation as pages in build/docs; a warning fails.
	$(BIN)/sphinx-build -q -W --keep-going -n -c docs . build/docs

audit: $(READY) ## Known vulnerabilities of what is pinned; asks PyPI's advisories.
	$(BIN)/pip-audit --disable-pip --require-hashes --strict -r requirements.txt

sbom: $(READY) ## What is installed in production, as CycloneDX in build/sbom.json.
	@mkdir -p build
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible -o build/sbom.json requirements.txt

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
    --python-version 3.11

lock: $(READY) ## Compile the pinned requirements anew from pyproject.toml.
	$(COMPILE) pyproject.toml -o requirements.txt
	$(COMPILE) --extra dev --constraint requirements.txt pyproject.toml -o requirements-dev.txt
	$(COMPILE) --extra bench --constraint requirements-dev.txt pyproject.toml -o bench/requirements.txt
	grep -o 'uv==[0-9.]*' pyproject.toml | $(COMPILE) - -o requirements-uv.txt
	grep -o 'flower==[0-9.]*' pyproject.toml | $(COMPILE) --constraint requirements.txt - -o deploy/requirements-flower.txt

clean: ## Forget the virtual environment and the sandbox's data.
	rm -rf $(VENV) .sandbox

# uv installs the same pinned, hashed packages in a tenth of pip's time.
$(READY): requirements-dev.txt requirements-uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing pinned packages …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
