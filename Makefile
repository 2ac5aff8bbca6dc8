# Everything here sets itself up: Python >= 3.11 and pip are all it asks for.
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$p"; break; }; done)
UV := .tools/bin/uv
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# the tests wait more than they work
JOBS ?= 3

.PHONY: demo test smoke check machine soak torture bench-wrapper bench-build mutation lock clean setup
setup: .venv/.ready

$(UV):
	@test -n "$(PYTHON)" || { echo "segue needs Python 3.11 or newer; none was found. hint: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -m pip install --quiet --root-user-action=ignore --target .tools uv

# uv makes the virtual environment, so Debian's python3-venv is not needed.
.venv/.ready: requirements.lock pyproject.toml | $(UV)
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: setup
	@$(BIN)/segue demo

test: setup
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not soak and not machine"

# the tests that say the most in the least time
smoke: setup
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not soak and not machine" tests/unit tests/process/test_deploy.py tests/process/test_gate.py \
	  tests/process/test_bad_sources.py tests/nginx

# real systemd, nginx and sudo; as root, with what tests/machine/install.sh installs; the tests of a file may share a host
machine: setup
	@$(BIN)/python -m tests.support.machine.layers
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "machine and not soak" tests/machine

soak: setup
	@$(BIN)/python -m pytest -m "soak and not torture"
	@SEGUE_FUZZ=long $(BIN)/python -m pytest -n $(JOBS) tests/fuzz

# five minutes, on a machine that does nothing else; writes docs/benchmarks/wrapper.md
bench-wrapper: setup
	@$(BIN)/python -m benchmarks.wrapper

# two minutes; writes docs/benchmarks/build.md
bench-build: setup
	@$(BIN)/python -m benchmarks.build

# about five minutes; docs/mutation.md tells what survived last, and why
mutation: setup
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-mutation
	@$(UV) pip install --quiet --python .venv-mutation/bin/python --requirements requirements.lock --group mutation
	@rm -rf mutants
	@nice -n 19 .venv-mutation/bin/mutmut run
	@.venv-mutation/bin/mutmut results

# everybody's death at every phase, and all that a machine may refuse; the same lots for the same SEED
torture: setup
	@$(BIN)/python -m pytest -n $(JOBS) -m torture --page=docs/torture.md

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lock: | $(UV)
	@$(UV) pip compile --quiet --universal --generate-hashes --group dev --no-header pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .venv-mutation mutants .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
