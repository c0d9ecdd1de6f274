#!/usr/bin/env bash
# The first thing to run on a GPU: gradients against the CPU's, two bfloat16 steps of every algorithm, then the quickstart.
# Needs torch and transformers there; whatever else is missing is taken from wheels/ beside the clone (see QUEUE.md).
# Everything worth keeping goes to $OUT (default: out/). DEVICE=cpu tries the script where there is no GPU.
set -uo pipefail
cd "$(dirname "$0")/../.."
export OUT="${OUT:-out}" DEVICE="${DEVICE:-cuda}" PYTHONPATH="$PWD" GROUPBENCH_CACHE="$PWD/.cache"
mkdir -p "$OUT"
if [ -d wheels ]; then
  python -m pip install --quiet --no-index --find-links wheels --no-deps wheels/*.whl || exit 1
fi
python - <<'PYTHON' | tee "$OUT/machine.txt"
import platform, torch, transformers
print("python", platform.python_version(), "torch", torch.__version__, "transformers", transformers.__version__)
print(torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")
PYTHON
python -m pytest -m gpu -p no:cacheprovider -rs --durations=10 tests/harness 2>&1 | tee "$OUT/gpu-tests.txt"
tests=${PIPESTATUS[0]}
began=$SECONDS
python -c 'from harness.cli import main; main()' run recipes/quickstart.yaml "execution.device=$DEVICE" --out "$OUT/quickstart" "$@" 2>&1 |
  tee "$OUT/quickstart.txt"
run=${PIPESTATUS[0]}
echo "tests: exit $tests; quickstart: exit $run, $((SECONDS - began)) s" | tee "$OUT/summary.txt"
[ "$run" -eq 0 ] && { [ "$tests" -eq 0 ] || { [ "$tests" -eq 5 ] && [ "$DEVICE" = cpu ]; }; }
