#!/usr/bin/env python3
"""Checks the #includes of src/ and include/ against the layers: a module may include itself and the modules that its
crossweep_module(NAME USES ...) line in CMakeLists.txt lists, and MPI, HDF5 and toml++ have one module each.

check_layers.py ROOT        prints FILE:LINE: what is wrong, and ends with 1 if there is anything
check_layers.py --self-test plants violations in a small tree and checks that each is found"""

import re
import sys
import tempfile
from pathlib import Path

MODULE_LINE = re.compile(r"^crossweep_module\((\w+)\s+USES\s+([^)]*)\)", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
OWN_HEADER = re.compile(r"crossweep/(\w+)/")
ONLY_IN = {re.compile(r"mpi\.h$"): "comm", re.compile(r"(hdf5|hdf5_hl|H5\w+)\.h$"): "io",
           re.compile(r"toml\+\+/|toml\.hpp$"): "config"}


def uses_of_modules(root):
    """Module -> modules that it may use, from the build's own description."""
    text = re.sub(r"#.*", "", (root / "CMakeLists.txt").read_text())
    return {name: set(re.findall(r"crossweep::(\w+)", uses)) for name, uses in MODULE_LINE.findall(text)}


def module_of(path, root):
    """src/MODULE/... or include/crossweep/MODULE/..."""
    parts = path.relative_to(root).parts
    return parts[1] if parts[0] == "src" else parts[2]


def problem_with(included, module, uses):
    """A sentence, or None."""
    for header, owner in ONLY_IN.items():
        if header.match(included) and module != owner:
            return f"{module} includes <{included}>, which only {owner} may."
    own = OWN_HEADER.match(included)
    if own and own[1] != module and own[1] not in uses.get(module, set()):
        return f'{module} includes "{included}", but CMakeLists.txt does not list {own[1]} among what it uses.'
    return None


def violations(root):
    uses = uses_of_modules(root)
    found = [f"CMakeLists.txt: {name} uses {used}, which does not come before it."
             for index, name in enumerate(uses) for used in sorted(uses[name] - set(list(uses)[:index]))]
    sources = [path for folder in ("src", "include") for path in sorted((root / folder).rglob("*.[ch]pp"))]
    if not sources or not uses:
        return [f"{root}: there are no modules with sources here."]
    for path in sources:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if included := INCLUDE.match(line):
                if problem := problem_with(included[1], module_of(path, root), uses):
                    found.append(f"{path.relative_to(root)}:{number}: {problem}")
    return found


PLANTED = {
    "src/core/ok.cpp": '#include "crossweep/core/error.hpp"\n#include <vector>\n',
    "src/comm/mpi.cpp": '#include <mpi.h>\n#include "crossweep/core/error.hpp"\n',
    "src/io/file.cpp": "#include <hdf5.h>\n#include <H5Lpublic.h>\n",
    "include/crossweep/core/up.hpp": '#pragma once\n#include "crossweep/io/record.hpp"\n',
    "src/io/sideways.cpp": '#include "local.hpp"\n#include "crossweep/comm/communicator.hpp"\n',
    "src/core/ranks.cpp": "\n\n  #  include <mpi.h>\n",
    "src/comm/storage.cpp": '#include "hdf5.h"\n',
    "src/comm/settings.cpp": "#include <toml++/toml.h>\n",
}
EXPECTED = {"include/crossweep/core/up.hpp:2", "src/io/sideways.cpp:2", "src/core/ranks.cpp:3",
            "src/comm/storage.cpp:1", "src/comm/settings.cpp:1", "CMakeLists.txt"}


def self_test():
    """What is not found of the planted violations, or found without being planted."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "CMakeLists.txt").write_text("crossweep_module(core USES fmt::fmt)\n"
                                             "crossweep_module(comm USES crossweep::core\n    MPI::MPI_CXX)\n"
                                             "crossweep_module(io USES crossweep::core) # crossweep::comm\n"
                                             "crossweep_module(model USES crossweep::trial)\n"
                                             "crossweep_module(trial USES crossweep::io)\n")
        for name, contents in PLANTED.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(contents)
        return sorted(EXPECTED ^ {line.split(": ")[0] for line in violations(root)})


def main():
    if sys.argv[1:] == ["--self-test"]:
        found = self_test()
    elif len(sys.argv) == 2:
        found = violations(Path(sys.argv[1]))
    else:
        sys.exit(__doc__)
    print("\n".join(found) if found else "the layers are kept")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
