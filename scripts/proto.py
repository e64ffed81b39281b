"""Generate, check and release the contract in proto/. Run by .venv-proto's interpreter.

The rules:

* Everything generated stands beside its .proto file and is checked in; generating again changes nothing.
* `schema.binpb` is the FileDescriptorSet of all files with their imports and without source info. Its SHA-256 is the
  schema digest that statements carry, so it is made by the pinned compiler from files in sorted order.
* A module for services is made only for files that have services.
* The contract never breaks the image of the last release, `proto/image.binpb`, where there is one.
"""

import argparse
import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGE = Path("cellcustody/v1")
SCHEMA = PACKAGE / "schema.binpb"
RELEASE_IMAGE = Path("proto/image.binpb")  # Relative: buf prints it in its messages.
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi", SCHEMA.name)
TOOLS = Path(sys.executable).parent  # Not resolved: the environment's own bin folder holds the plugins.


class ProtoError(Exception):
    """Raised when a tool of the contract fails; its own output has been printed by then."""


def compile_protos(output: Path) -> None:
    """Generates modules, stubs and the descriptor set of every .proto file into the folder `output`."""
    files = sorted(path.relative_to(PROTO).as_posix() for path in PROTO.rglob("*.proto"))
    if not files:
        raise ProtoError("there is no .proto file in proto/")
    includes = [f"-I{PROTO}", f"-I{Path(grpc_tools.__file__).parent / '_proto'}"]
    (output / PACKAGE).mkdir(parents=True, exist_ok=True)
    _protoc(
        *includes,
        f"--plugin=protoc-gen-mypy={TOOLS / 'protoc-gen-mypy'}",
        f"--python_out={output}",
        f"--mypy_out=quiet:{output}",
        f"--descriptor_set_out={output / SCHEMA}",
        "--include_imports",
        *files,
    )

    schema = descriptor_pb2.FileDescriptorSet.FromString((output / SCHEMA).read_bytes())
    with_services = sorted(file.name for file in schema.file if file.service)
    if with_services:
        _protoc(
            *includes,
            f"--plugin=protoc-gen-mypy_grpc={TOOLS / 'protoc-gen-mypy_grpc'}",
            f"--grpc_python_out={output}",
            f"--mypy_grpc_out=quiet:{output}",
            *with_services,
        )


def _protoc(*arguments: str) -> None:
    if protoc.main(["protoc", *arguments]) != 0:
        raise ProtoError("protoc failed")


def _buf(*arguments: str) -> None:
    if subprocess.run([str(TOOLS / "buf"), *arguments], cwd=ROOT).returncode != 0:
        raise ProtoError(f"buf {arguments[0]} failed")


def lint() -> None:
    """Checks the contract's form, and that it breaks nothing that was released."""
    _buf("lint")
    if (ROOT / RELEASE_IMAGE).exists():
        _buf("breaking", "--against", str(RELEASE_IMAGE))
    else:
        print(f"no {RELEASE_IMAGE} yet: nothing is released that could break (make proto-release)")


def _generated_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for name in GENERATED for path in folder.glob(f"{PACKAGE}/{name}")}


def generate() -> None:
    """Writes what is generated into proto/, and removes what no .proto file makes any more."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        compile_protos(fresh)
        for name in sorted(_generated_in(PROTO) - _generated_in(fresh)):
            (PROTO / name).unlink()
        for name in sorted(_generated_in(fresh)):
            content = (fresh / name).read_bytes()
            if not (PROTO / name).exists() or (PROTO / name).read_bytes() != content:
                (PROTO / name).write_bytes(content)
                print(f"wrote proto/{name}")


def check() -> None:
    """Raises unless generating again would change nothing."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        compile_protos(fresh)
        expected, present = _generated_in(fresh), _generated_in(PROTO)
        stale = [f"proto/{name} is missing" for name in sorted(expected - present)]
        stale += [f"proto/{name} comes from no .proto file" for name in sorted(present - expected)]
        stale += [
            f"proto/{name} differs from what its .proto file makes"
            for name in sorted(expected & present)
            if not filecmp.cmp(fresh / name, PROTO / name, shallow=False)
        ]
    if stale:
        raise ProtoError("\n".join([*stale, "run: make proto"]))
    _load_with_oldest_protobuf(sorted(name for name in present if name.endswith(".py")))


def _load_with_oldest_protobuf(files: list[str]) -> None:
    """Imports every generated module here, where the oldest protobuf that users may run is installed."""
    names = [file.removesuffix(".py").replace("/", ".") for file in files]
    script = f"import sys; sys.path.insert(0, {str(PROTO)!r})\n" + "\n".join(f"import {name}" for name in names)
    if subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode != 0:
        raise ProtoError("a generated module does not load with the pinned protobuf")


def release() -> None:
    """Makes the contract as it stands the image that later changes are held against."""
    lint()
    check()
    _buf("build", "--exclude-source-info", "--output", str(RELEASE_IMAGE))


def main() -> None:
    """Runs one of the commands, and leaves with its message if it fails."""
    parser = argparse.ArgumentParser(description="Generate, check and release the contract.")
    parser.add_argument("command", choices=("generate", "check", "lint", "release"))
    try:
        match parser.parse_args().command:
            case "generate":
                generate()
                lint()
            case "check":
                check()
            case "lint":
                lint()
            case "release":
                release()
    except ProtoError as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
