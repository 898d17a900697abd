# Where everything is built, system packages, and the build itself. Needs $here, $cache, messages.sh.

root="$here/build"  # everything is built under it; choose_root may choose another
as_it_is=           # not empty: $root is somebody else's and complete, nothing is set up in it

# Debian and Ubuntu names of everything that the build and the tests need. MPI comes apart: any will do.
packages=(build-essential cmake ninja-build libeigen3-dev libhdf5-dev catch2 libcli11-dev
  nlohmann-json3-dev libfmt-dev python3 python3-venv)
mpi_packages=(mpich libmpich-dev)
test_packages=(clang-format)

# Whether files and folders can be written, or made where they are missing.
can_write() {
  local path
  for path in "$@"; do
    while [ ! -e "$path" ]; do path=$(dirname "$path"); done
    [ -w "$path" ] || return 1
  done
}

# A checkout that cannot be written, be it another user's or on a read-only disk, is built under the
# cache; a complete build that its owner left there is used as it is.
choose_root() {
  can_write "$root" "$root/lock" "$root/release" "$root/sanitize" "$root/venv" && return 0
  if [ "$1" != test ] && is_complete "$root/release"; then
    as_it_is=yes
    return 0
  fi
  root="$cache/build-$(md5sum <<<"$here" | cut -c1-12)"
  mkdir -p "$root" 2>/dev/null && can_write "$root" "$root/lock" ||
    stop "neither the checkout ($here) nor the cache ($cache) can be written; XDG_CACHE_HOME may name another"
}

# Two calls at once must not build or download into the same place. Descriptor 9 holds the lock
# until setup is over.
lock_setup() {
  [ -z "$as_it_is" ] || return 0
  { mkdir -p "$root" && exec 9>"$root/lock"; } 2>/dev/null ||
    stop "cannot write into $root (a full disk, a broken link?)"
  flock -n 9 || { say "waiting for another ./apb to finish its setup"; flock 9; }
}

# Runs a command as root, without asking for a password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Whether a package, or the program that it is wanted for, is there.
has_package() {
  case "$1" in
    cmake | python3 | clang-format) command -v "$1" >/dev/null && return 0 ;;
    ninja-build) command -v ninja >/dev/null && return 0 ;;
  esac
  dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

# Installs those of the given packages that are missing. Asks nothing.
install_packages() {
  local missing=() package
  for package in "$@"; do has_package "$package" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing packages: ${missing[*]}"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::http::Timeout=15
    -o Acquire::Retries=1 -o DPkg::Lock::Timeout=120)
  as_root "${apt[@]}" update &&
    as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
}

# Packages are looked up once for each list and machine; a file remembers.
ensure_packages() {
  [ -z "$as_it_is" ] || return 0
  local wanted=("$@") stamp output
  command -v mpiexec >/dev/null && command -v mpicxx >/dev/null || wanted+=("${mpi_packages[@]}")
  stamp="$root/packages-$({ echo "${wanted[*]}"; uname -n; cat /etc/os-release; } | md5sum | cut -c1-12)"
  [ -e "$stamp" ] && return 0
  if ! command -v dpkg-query >/dev/null; then
    say "packages are installed on Debian and Ubuntu only; going on with what is there (wanted: ${wanted[*]})"
  elif output=$(install_packages "${wanted[@]}" 2>&1 | aloud); then
    touch "$stamp"
  else
    output=$(reason_in "$output")
    say "could not install packages${output:+: $output}; going on with what is there (wanted: ${wanted[*]})"
  fi
}

# What this machine's processor can do, a word a line.
processor() { grep -m1 -E '^(flags|Features)' /proc/cpuinfo | tr ' ' '\n'; }

# A path that CMake remembers in a build folder.
remembered() { sed -n "s/^$2:INTERNAL=//p" "$1/CMakeCache.txt"; }

# Whether a build folder was made at this place for this checkout: one that came with a copied or
# moved checkout was not, and building in it would build the other. Nor is it of use if it was made
# for a processor that can do what this one cannot.
is_ours() {
  [ -e "$1/CMakeCache.txt" ] && [ "$(remembered "$1" CMAKE_HOME_DIRECTORY)" -ef "$here" ] &&
    [ "$(remembered "$1" CMAKE_CACHEFILE_DIR)" -ef "$1" ] &&
    { [ ! -e "$1/processor" ] || ! grep -qvxFf <(processor) "$1/processor"; }
}

# Whether all commands are built, from the sources as they are now.
is_complete() { is_ours "$1" && ninja -C "$1" -n apb_all_tools 2>&1 | grep -q 'no work to do'; }

# Whether a build folder is configured as a preset wants it: test is release with strict warnings.
is_configured() {
  [ -e "$1/build.ninja" ] || return 1
  [ "$2" != test ] || grep -q '^APB_WARNINGS_AS_ERRORS:BOOL=ON' "$1/CMakeCache.txt"
}

configure() {
  local preset=$1 folder=$2 output
  say "configuring ($preset)"
  { mkdir -p "$folder" && processor >"$folder/processor"; } 2>/dev/null ||
    stop "cannot write into $folder (a full disk, a broken link?)"
  output=$(cd "$here" && cmake --preset "$preset" -B "$folder" 2>&1) && return 0
  printf '%s\n' "$output" >&2
  output=$(reason_in "$output")
  stop "${output:-cmake could not configure; what it misses stands above}"
}

# Configures if needed and builds the given targets in a folder under $root; silent if nothing changed.
build_preset() {
  local preset=$1 folder="$root/$2" output
  shift 2
  [ -z "$as_it_is" ] || return 0
  if [ -e "$folder/CMakeCache.txt" ] && ! is_ours "$folder"; then
    say "$folder was made for another checkout, place or processor: building afresh"
    rm -rf "$folder"
  fi
  is_configured "$folder" "$preset" || configure "$preset" "$folder"
  output=$(NINJA_STATUS="apb: building ($preset) [%f/%t] " ninja -C "$folder" "$@" 2>&1 |
    sed -u '/no work to do/d; /Entering directory/d' | aloud) && return 0
  output=$(reason_in "$output")
  stop "the build failed${output:+: $output}"
}
