# What goes wrong while packages are fetched and programs built, said as what it is.

no_network="no package registry in reach"

say() { echo "apb: $*" >&2; }

# Ends with the status of what could not run.
stop() {
  say "$*"
  exit 3
}

# Shows lines on standard error as they come, and passes them on.
aloud() {
  local line
  while IFS= read -r line || [ -n "$line" ]; do
    printf '%s\n' "$line" >&2
    printf '%s\n' "$line"
  done
}

# The reason that the output of apt, pip, cmake or a compiler gives; nothing if it gives none of these.
# What is certain stands first: pip also calls a package that it cannot reach one without a version.
reason_in() {
  local output=$1
  says() { grep -qiE "$1" <<<"$output"; }
  line_with() { grep -iEm1 "$1" <<<"$output" | cut -c1-200; }
  local refusal='(http|client|server) error.*[45][0-9][0-9]|[45][0-9][0-9] (client|server) error'
  local no_right='permission denied|read-only file system'
  if says 'no space left on device|disk quota exceeded'; then
    echo "no room left on the disk"
  elif says 'do not match the hashes|hash sum mismatch'; then
    echo "a downloaded package is not the pinned one (hash mismatch)"
  elif says 'certificate.verify.failed|sslerror|certificate verification failed'; then
    echo "the package registry's certificate is not trusted (PIP_CERT may name a file of trusted ones)"
  elif says 'connection ?broken|newconnectionerror|timeouterror|connection timed out|name resolution|unreachable|(could not|temporary failure) resolv|could not connect'; then
    echo "$no_network"
  elif says 'ensurepip is not available|no module named .?(venv|ensurepip)'; then
    echo "Python's venv module is missing (Debian and Ubuntu: package python3-venv)"
  elif says "$refusal"; then
    echo "the package registry refuses ($(line_with "$refusal"))"
  elif says 'no matching distribution found'; then
    echo "the package registry has no wheel for this Python ($(line_with 'no matching distribution found'))"
  elif says "$no_right"; then
    echo "a file or folder cannot be written ($(line_with "$no_right"))"
  elif says 'sudo: (a password|a terminal|command not found)|are you root'; then
    echo "no right to install them (neither root, nor sudo without a password)"
  elif says 'killed signal terminated program|out of memory'; then
    echo "too little memory"
  fi
}
