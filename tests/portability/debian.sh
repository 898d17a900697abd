#!/usr/bin/env bash
# Tries the checkout on bare Debian systems: ./apb demo from nothing, then the release tests.
#
#   tests/portability/debian.sh FOLDER [SUITE...]      as root; default: bookworm trixie (Debian 12 and 13)
#
# Makes a root of each suite with debootstrap under FOLDER (which must not hold one yet), unpacks HEAD
# there in a path with spaces and an empty HOME, and leaves logs and a table in FOLDER. Packages come
# from where this machine gets its own: its Debian mirror, its proxies, its trusted certificates.
# By hand, not in CI: about half an hour a suite on two cores.
set -euo pipefail

checkout=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
[ $# -gt 0 ] && [ "$(id -u)" = 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
mkdir -p "$1"
folder=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- bookworm trixie
mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
  head -1 || true)
[ -n "$mirror" ] || { echo "no Debian mirror in /etc/apt/sources.list*" >&2; exit 3; }

# Variables that say how this machine reaches the package registries. A file of certificates that they
# name goes along, where no package puts its own.
certificates=${PIP_CERT:-${SSL_CERT_FILE:-}}
network=(${certificates:+PIP_CERT=/etc/trusted-certificates.crt})
while IFS= read -r line; do
  network+=("$line")
done < <(env | grep -iE '^(https?_proxy|no_proxy|pip_(index_url|extra_index_url|trusted_host|default_timeout))=' || true)

# Runs a command in the root's checkout as its only user, who owns nothing yet.
inside() {
  local root=$1
  shift
  chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/home/nobody LANG=C.UTF-8 "${network[@]}" \
    sh -c 'cd "/home/my checkout" && "$@"' sh "$@"
}

make_root() {
  local suite=$1 root=$2
  debootstrap --variant=minbase "$suite" "$root" $mirror
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  [ -z "$certificates" ] || cp "$certificates" "$root/etc/trusted-certificates.crt"
  mount -t proc proc "$root/proc"
  mount --rbind --make-rslave /dev "$root/dev"
  mount --rbind --make-rslave /sys "$root/sys"
  mkdir -p "$root/home/nobody" "$root/home/my checkout"
  git -C "$checkout" archive HEAD | tar -x -C "$root/home/my checkout"
}

unmount_root() {
  local mounted
  for mounted in sys dev proc; do umount -R "$1/$mounted" 2>/dev/null || true; done
}

# The release tests without the sanitized build: what ./apb test does with the preset `test`.
release_tests='
export APB_PYTHON="$PWD/build/venv/bin/python" APB_WEIGHTS="$HOME/.cache/apb/models/smollm2-135m-instruct.h5"
cmake --preset test && ninja -C build/release || exit 3
echo "built after $SECONDS s"
status=0
ctest --test-dir build/release --output-on-failure --output-junit ../release.xml || status=1
CI=true python3 tests/skipped_tests.py build/release.xml || status=1
exit $status'

versions='
version() { dpkg-query -W -f "\${Version}" "$1" 2>/dev/null | sed "s/^[0-9]*://; s/[-+].*//"; }
echo "$(. /etc/os-release && echo "$PRETTY_NAME") | g++ $(version g++) | CMake $(version cmake) | MPICH $(mpichversion | sed -n "s/^MPICH Version:[[:space:]]*//p") | HDF5 $(version libhdf5-dev) | fmt $(version libfmt-dev) | Catch2 $(version catch2) | Python $(python3 -c "import platform; print(platform.python_version())")"'

try_suite() {
  local suite=$1 root="$folder/$1" log="$folder/$1" demo=passed failed="" tests start demo_s tests_s
  make_root "$suite" "$root" >"$log.debootstrap.log" 2>&1
  start=$SECONDS
  inside "$root" ./apb demo >"$log.demo.log" 2>&1 || demo=FAILED
  ! grep -q 'toy model' "$log.demo.log" || demo="FAILED (toy model)"
  demo_s=$((SECONDS - start)) start=$SECONDS
  inside "$root" bash -c "$release_tests" >"$log.tests.log" 2>&1 || failed=" FAILED"
  tests_s=$((SECONDS - start))
  tests="$(grep -E 'tests passed' "$log.tests.log" || true)$failed"
  echo "| $(date -u "+%F %H:%M") | $(inside "$root" bash -c "$versions") | $demo, $demo_s s | $tests, $tests_s s |" >>"$folder/table.md"
}

printf '%s\n' '| finished (UTC) | system | compiler | CMake | MPI | HDF5 | fmt | Catch2 | Python | ./apb demo | release tests |' \
  '|---|---|---|---|---|---|---|---|---|---|---|' >"$folder/table.md"
for suite in "$@"; do
  trap 'unmount_root "$folder/$suite"' EXIT
  try_suite "$suite"
  unmount_root "$folder/$suite"
done
trap - EXIT
echo "cores: $(nproc), $(grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //')" >>"$folder/table.md"
cat "$folder/table.md"
! grep -q FAILED "$folder/table.md"
