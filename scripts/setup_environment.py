"""Create or bring up to date one of the project's two virtual environments.

The rules:

* Any Python from 3.11 on will do. When the one that runs this script is older, a newer one on the PATH is used; when
  there is none, the message says so and nothing is created.
* pip inside the environment is upgraded before anything is installed, so the pip of the machine does not matter.
* Every version is pinned by a constraints file. Where packages come from is the machine's own pip configuration, which
  is neither read nor changed here.
* The stamp that make looks at is written last: an interrupted set-up is taken up again.

This file is read by whatever `python3` is, so it keeps to syntax that old interpreters parse.
"""

import os
import shutil
import subprocess
import sys

PYTHON_VERSION_MIN = (3, 11)  # pyproject.toml: requires-python.
NEWER_PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")

PROTO_TOOLS = ["grpcio-tools", "mypy-protobuf", "buf-bin", "setuptools"]  # Versions: constraints-proto.txt.
ENVIRONMENTS = {
    ".venv": ["-c", "constraints.txt", "-e", ".[dev]"],
    ".venv-proto": ["-c", "constraints-proto.txt"] + PROTO_TOOLS,
}


def has_working_python(python: str) -> bool:
    """Returns whether `python` runs, is new enough, and can create environments that have pip."""
    probe = "import sys, venv, ensurepip; sys.exit(0 if sys.version_info >= {} else 1)".format(PYTHON_VERSION_MIN)
    try:
        return subprocess.call([python, "-c", probe], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def find_python() -> str:
    """Returns the interpreter to build the environment with, or leaves with a message that says what is missing."""
    candidates = [sys.executable] + [shutil.which(name) for name in NEWER_PYTHONS]
    for candidate in candidates:
        if candidate and has_working_python(candidate):
            return candidate
    sys.exit(
        "make setup needs Python {} or newer with the venv and ensurepip modules (on Debian: python3-venv).\n"
        "Found {} ({}). Name another one with: make setup PYTHON=/path/to/python3".format(
            ".".join(str(part) for part in PYTHON_VERSION_MIN), sys.version.split()[0], sys.executable
        )
    )


def main(folder: str) -> None:
    """Creates the environment `folder` if need be, installs what it is for, and writes its stamp."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    environment = os.path.join(root, folder)
    python = os.path.join(environment, "bin", "python")

    if not has_working_python(python):
        subprocess.check_call([find_python(), "-m", "venv", "--clear", environment])

    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    print("setting up {}: this takes a minute or two the first time".format(folder), flush=True)
    subprocess.check_call([*pip, "--upgrade", "pip"], cwd=root)
    subprocess.check_call(pip + ENVIRONMENTS[folder], cwd=root)
    subprocess.check_call([python, "-m", "pip", "--disable-pip-version-check", "check"], cwd=root)

    with open(os.path.join(environment, ".stamp"), "w") as stamp:
        stamp.write("")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ENVIRONMENTS:
        sys.exit("usage: setup_environment.py " + " | ".join(sorted(ENVIRONMENTS)))
    try:
        main(sys.argv[1])
    except subprocess.CalledProcessError as failure:
        sys.exit("setting up {} failed in: {}".format(sys.argv[1], " ".join(failure.cmd)))
