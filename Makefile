# Two commands do everything on a fresh machine: `make demo` (the main job) and `make test`.
# TORCH_INDEX=https://download.pytorch.org/whl/cpu gets PyTorch's small CPU build where PyPI serves the CUDA one.
PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --no-compile
INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
DEMO ?= runs/demo
SEED ?= 0
# Several processes take turns on few cores: OpenMP threads that wait must not spin.
export OMP_WAIT_POLICY ?= PASSIVE
# pip unpacks and compiles on one core. So two of them take half of the pinned packages each, and what most processes
# import is compiled afterwards on all cores; the rest on first use.
HOT := ray torch transformers vllm
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo demo-control test suite test-fast test-long check lint types wheel bench bench-gpu clean

setup: .venv/ready

.venv/ready: requirements/cpu.txt requirements/torchvision_cpu/pyproject.toml pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) $(INDEX) --constraint requirements/cpu.txt "$$(grep '^torch==' requirements/cpu.txt)"
	@awk '{ print > (".venv/half-" (NR % 2)) }' requirements/cpu.txt
	printf '%s\n' 0 1 | xargs -P 2 -I {} $(PIP) --no-deps --requirement .venv/half-{}
	@$(BIN)/python -m compileall -q -j 0 -x '/(models|rllib|testing)/' $(HOT:%=.venv/lib/python3*/site-packages/%) >/dev/null 2>&1 || true # some files are templates
	$(PIP) --no-deps --no-build-isolation --editable . ./requirements/torchvision_cpu
	@$(BIN)/python -c "import torch; print('Set-up found the', 'CUDA' if torch.version.cuda else 'CPU', 'build of torch', torch.__version__)"
	@touch $@

demo: .venv/ready
	$(BIN)/ray-iqa demo --run-dir $(DEMO) --seed $(SEED)

demo-control: .venv/ready
	$(BIN)/ray-iqa demo --run-dir $(DEMO)-control --seed $(SEED) --permute-labels

# Lint and types beside the tests, two of which run at a time: on two cores more threads would wait for each other.
SUITE := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
test test-fast test-long: export OMP_NUM_THREADS ?= 1
test: .venv/ready
	$(MAKE) --no-print-directory --jobs 2 check suite

check: .venv/ready
	$(MAKE) --no-print-directory --jobs 1 lint types

suite: .venv/ready
	$(SUITE) -m "not long and not gpu"

# Without an engine and without Ray, for the inner loop.
test-fast: .venv/ready
	$(SUITE) -m "not long and not gpu" $(addprefix --ignore=tests/,actors backends rali/test_fit.py)

test-long: .venv/ready
	$(BIN)/pytest -m "not gpu"

lint: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: .venv/ready
	$(BIN)/mypy

wheel: .venv/ready
	$(BIN)/pytest tests/architecture/test_wheel.py

# The performance table of docs/benchmarks.md: each line reports its rows, the last one writes them into the page. About
# half an hour on two cores; the other files in benchmarks/ say in their first lines how to run them.
bench: .venv/ready $(DEMO)/run/metrics.jsonl
	$(BIN)/python benchmarks/rollout.py
	$(BIN)/python benchmarks/learner.py
	$(BIN)/python benchmarks/whole_step.py
	$(BIN)/python benchmarks/step_time.py $(DEMO)/run
	$(BIN)/python benchmarks/prefetch.py
	$(BIN)/python benchmarks/reward.py
	$(BIN)/python benchmarks/publish.py
	$(BIN)/python benchmarks/rali_throughput.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/table.py

$(DEMO)/run/metrics.jsonl:
	$(MAKE) demo

# On the Python environment of a machine with a GPU, where `make setup` is not how things are installed.
bench-gpu:
	python benchmarks/gpu.py --shape 3b
	python benchmarks/gpu.py --shape 7b --lora
	python benchmarks/rali_throughput.py --device cuda --model ViT-L-14-336-quickgelu
	python benchmarks/rali_throughput.py --device cuda --model ViT-L-14-336-quickgelu --precision bf16

clean:
	rm -rf .venv runs
