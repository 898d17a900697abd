#!/usr/bin/env python3
"""`cmake --install` gives a tree that works wherever it is moved: tools, and libraries that a foreign project builds on.

  install_test.py BUILD_DIR

The foreign project is the installed example: a kernel of one's own, judged in one's own program. It is compiled for any
x86-64 while the libraries may be compiled for this processor, and Eigen matrices that one side made the other frees.
"""
from __future__ import annotations

import json
import shutil
from pathlib import Path

from tool_testing import ROOT, Checks, arguments, run, temporary_folder

ALWAYS = ("apb-case", "apb-demo", "apb-explain", "apb-run", "apb-sim", "apb-verify")
CASE = ["--doc-len", 90, "--ranks", 3, "--anchor", 8, "--query-len", 3, "--keep", 6, "--q-heads", 4, "--kv-heads", 2,
        "--head-dim", 16]
RECORD = "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"
KERNEL_LINE = "const Index visible = row + 1 + passing;"


def installed(checks: Checks, build: Path, folder: Path) -> Path:
    """The prefix, moved after installation; the build's own folder plays no part in it."""
    first, prefix = folder / "first", folder / "moved"
    checks.right(run(["cmake", "--install", build, "--prefix", first], timeout=120), "cmake --install")
    first.rename(prefix)
    return prefix


def what_is_there(checks: Checks, build: Path, prefix: Path) -> None:
    # Only where nvcc is, the last where NCCL is.
    tools = ALWAYS + tuple(tool for tool in ("apb-cuda", "apb-bench", "apb-scale") if (build / "bin" / tool).exists())
    listing = [path.relative_to(prefix).as_posix() for path in prefix.rglob("*") if path.is_file()]
    for name in (*(f"bin/{tool}" for tool in tools), "include/apb/reference/core/case/case_file.hpp",
                 "include/apb/reference/core/apb_plugin.h", "share/apb/configs/models/llama-3.1-8b.json",
                 "share/apb/reference/tools/import/import.py", "share/apb/examples/find_package/CMakeLists.txt"):
        checks.that(name in listing, f"{name} must be installed", listing)
    strangers = [name for name in listing if not name.startswith("share/") and not name.endswith((".hpp", ".h", ".a", ".cmake"))]
    checks.equal(sorted(strangers), sorted(f"bin/{tool}" for tool in tools), "what is neither shared, header nor library")
    checks.that(not any("tools/" in name for name in listing if name.startswith("include/")), "tools have no headers")
    for path in prefix.rglob("*.cmake"):
        checks.that(str(ROOT) not in path.read_text(), f"{path.name} must not point into the source tree")


def tools_work(checks: Checks, prefix: Path, folder: Path) -> None:
    models = prefix / "share/apb/configs/models"
    shutil.copy(models / "llama-3.1-8b.json", models / "one-of-mine.json")
    found = run([prefix / "bin/apb-explain", "--model", "one-of-mine", "--tokens", 4096, "--ranks", 2])
    checks.right(found, "an installed tool reads the installed models")
    (models / "one-of-mine.json").unlink()
    (folder / "text").write_text("It was a dark and stormy night. " * 4)
    for transport in ("local", "mpi"):
        answered = run([prefix / "bin/apb-run", "--toy", "--text", folder / "text", "--query", "What night?", "--ranks",
                        2, "--transport", transport])
        checks.right(answered, f"installed apb-run over {transport}")


def foreign_project(checks: Checks, prefix: Path, folder: Path) -> None:
    project, build, case = folder / "foreign", folder / "foreign-build", folder / "case.h5"
    shutil.copytree(prefix / "share/apb/examples/find_package", project)
    checks.right(run([prefix / "bin/apb-case", case, *CASE]), "installed apb-case")

    def built(what: str) -> bool:
        configured = run(["cmake", "-S", project, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", RECORD], timeout=120)
        return checks.right(configured, f"{what}: configured") and \
            checks.right(run(["cmake", "--build", build], timeout=600), f"{what}: built")

    if not built("the example"):
        return
    own_flags_stay(checks, build, "a project that links the installed libraries")
    right = run([build / "own_attention", case])
    checks.right(right, "a right kernel")
    checks.equal(right.out.count(b"pass"), 6, "rows of out and lse of three ranks", right)
    checks.refused(run([build / "own_attention", project / "CMakeLists.txt"]), "not a case", "CMakeLists.txt")

    source = project / "own_attention.cpp"
    text = source.read_text()
    checks.equal(text.count(KERNEL_LINE), 1, "the line of the kernel that is made wrong")
    source.write_text(text.replace(KERNEL_LINE, "const Index visible = row + 1 + 0 * passing;"))
    if built("a wrong kernel"):
        wrong = run([build / "own_attention", case])
        checks.equal(wrong.status, 1, "a wrong kernel's status", wrong)
        checks.that(b"FAIL" in wrong.out and b"rank 2: out and lse wrong in rows" in wrong.out, "a wrong kernel's diagnosis", wrong)


def own_flags_stay(checks: Checks, build: Path, what: str) -> None:
    """The project's warnings and its processor are its own business: no command of another project names them."""
    commands = [entry["command"] for entry in json.loads((build / "compile_commands.json").read_text())
                if str(ROOT) not in entry["file"]]
    checks.that(len(commands) > 0, f"{what}: its own files are compiled")
    for command in commands:
        checks.that(" -W" not in command and "-march" not in command, f"{what}: no warnings, no processor", command)
        checks.that("-ffp-contract=off" in command, f"{what}: the rounding that headers need", command)


def components(checks: Checks, prefix: Path, folder: Path) -> None:
    """A component stands on its own dependencies: without MPI all but comm are there."""
    project = folder / "component"
    project.mkdir()
    (project / "main.cpp").write_text('#include "reference/core/config.hpp"\n'
                                      'int main() { return apb::ApbConfig{}.num_ranks < 0 ? 1 : 0; }\n')
    for wanted, status in (("core", 0), ("verify model", 0), ("comm", 1), ("nonsense", 1), ("", 1)):
        keyword = f"COMPONENTS {wanted}" if wanted else ""
        first = wanted.split()[0] if wanted else "core"
        (project / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION 3.25)\nproject(mine LANGUAGES CXX)\n"
                                                f"find_package(apb 0.1 REQUIRED {keyword})\n"
                                                f"add_executable(mine main.cpp)\n"
                                                f"target_link_libraries(mine PRIVATE apb::{first})\n")
        build = folder / f"component-{first}-{status}"
        result = run(["cmake", "-S", project, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}",
                      "-DCMAKE_DISABLE_FIND_PACKAGE_MPI=ON"], timeout=120)
        checks.equal(result.status, status, f"without MPI, find_package(apb {keyword})", result)
        if wanted == "core" and result.status == 0:
            checks.right(run(["cmake", "--build", build], timeout=300), "a program of apb::core alone")
        elif status == 1:
            checks.that(("nonsense" if wanted == "nonsense" else "MPI") in result.err,
                        f"without MPI, find_package(apb {keyword}): what is missing is said", result)


def inside_another_project(checks: Checks, folder: Path) -> None:
    """add_subdirectory: the libraries alone, under names that no other project has, and no flags of ours."""
    project, build = folder / "parent", folder / "parent-build"
    project.mkdir()
    (project / "main.cpp").write_text("int main() {}\n")
    targets = ("tools", "tests", "core_tests", "case", "exercise", "install_all")
    (project / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(parent LANGUAGES CXX)\n" +
        "".join(f"add_custom_target({name})\n" for name in targets) +
        f'add_subdirectory("{ROOT}" apb)\nadd_executable(main main.cpp)\n'
        "target_link_libraries(main PRIVATE apb::verify)\n")
    if not checks.right(run(["cmake", "-S", project, "-B", build, "-G", "Ninja", RECORD], timeout=120),
                        "a project that contains APB"):
        return
    own_flags_stay(checks, build, "a project that contains APB")
    built = run(["ninja", "-C", build, "-t", "targets", "all"]).out.decode().splitlines()
    names = {line.split(":")[0] for line in built if "/" not in line.split(":")[0]}
    checks.that("apb_core" in names, "the parent's build holds the libraries", sorted(names))
    strangers = sorted(name for name in names if name.startswith("apb-") or "test" in name and name not in (*targets, "test"))
    checks.equal(strangers, [], "the parent's build holds neither commands nor tests")
    nothing = run(["cmake", "--install", build, "--prefix", folder / "parent-prefix"], timeout=60)
    checks.right(nothing, "the parent's installation")
    checks.that(not (folder / "parent-prefix").exists(), "APB adds nothing to the parent's installation")


def main() -> None:
    (build,) = arguments("BUILD_DIR", 1)
    checks = Checks()
    with temporary_folder() as name:
        folder = Path(name)
        prefix = installed(checks, Path(build), folder)
        what_is_there(checks, Path(build), prefix)
        tools_work(checks, prefix, folder)
        foreign_project(checks, prefix, folder)
        components(checks, prefix, folder)
        inside_another_project(checks, folder)
    checks.finish()


if __name__ == "__main__":
    main()
