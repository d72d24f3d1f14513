"""Generate `mm_plugin/_proto` from the .proto files in `proto`, then the API client from the same contract.

Usage: python tools/proto.py            write the generated files
       python tools/proto.py --check    write nothing; show what would change and exit 1 if anything would

protoc writes modules that register in protobuf's default pool and import each other by proto path; `rewrite_*` below
turn that into modules of the package, which share the private pool of `mm_plugin/_proto/_pool.py`.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.metadata
import importlib.resources
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
TARGET = ROOT / "mm_plugin" / "_proto"
API_GENERATOR = ROOT / "tools" / "generate_api.py"
PACKAGE = "mm_plugin._proto"

# The output depends on these; a different version would rewrite every file.
GENERATORS = {"grpcio-tools": "1.85.1", "mypy-protobuf": "5.1.0", "grpclib": "0.4.9"}

_PROTO_PACKAGES = r"(?:mattermost\.pluginapi\.v1|grpc\.health\.v1|plugin)"


class GenerationError(Exception):
    """The contract could not be generated; the text says why and how to mend it."""


def check_generators() -> None:
    """Raise GenerationError unless exactly the pinned generators are installed."""
    wrong: list[str] = []
    for name, wanted in GENERATORS.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "not installed"
        if found != wanted:
            wrong.append(f"{name} {wanted} (found: {found})")
    if wrong:
        pins = " ".join(f"{name}=={version}" for name, version in GENERATORS.items())
        raise GenerationError(
            f"The contract is generated with exactly these: needed {', '.join(wrong)}.\n"
            f"Install them: {sys.executable} -m pip install {pins}"
        )


def run_protoc(output: Path) -> None:
    """Run protoc with its plugins over every .proto file, into `output`."""
    scripts = Path(sysconfig.get_path("scripts"))
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    files = sorted(PROTO.rglob("*.proto"))
    with_services = [path for path in files if re.search(r"^service \w", path.read_text("utf-8"), re.MULTILINE)]
    base = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"-I{well_known}"]
    runs = [
        [
            *base,
            f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
            f"--python_out={output}",
            f"--mypy_out=quiet:{output}",
            *map(str, files),
        ],
        [
            *base,
            f"--plugin=protoc-gen-python_grpc={scripts / 'protoc-gen-python_grpc'}",
            f"--python_grpc_out={output}",
            *map(str, with_services),
        ],
    ]
    # The plugins are Python scripts: a fixed hash seed keeps any set of theirs in one order.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    for command in runs:
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise GenerationError(f"protoc failed:\n{done.stdout}{done.stderr}".rstrip())


def replace_once(text: str, old: str, new: str, where: str) -> str:
    """Replace the one place where `old` stands; a generator that writes something else must not go unseen."""
    if text.count(old) != 1:
        raise GenerationError(f"{where}: expected {old!r} once, found it {text.count(old)} times; adapt tools/proto.py")
    return text.replace(old, new)


def rewrite_messages(text: str, name: str) -> str:
    """Move a generated message module into the package and into the private pool."""
    text = replace_once(
        text,
        "from google.protobuf import descriptor_pool as _descriptor_pool\n",
        "",
        name,
    )
    text = replace_once(
        text,
        "# @@protoc_insertion_point(imports)\n",
        f"from {PACKAGE} import _pool\n# @@protoc_insertion_point(imports)\n",
        name,
    )
    text = replace_once(text, "_descriptor_pool.Default()", "_pool.POOL", name)
    # Well-known types live in the private pool already; their modules are not needed.
    text = re.sub(r"^from google\.protobuf import \w+_pb2 as google_dot_\w+\n", "", text, flags=re.MULTILINE)
    text = rewrite_imports(text)
    module = name.removesuffix(".py")
    return re.sub(rf"'{_PROTO_PACKAGES}\.{module}'", f"'{PACKAGE}.{module}'", text)


def rewrite_imports(text: str) -> str:
    """Turn imports between generated modules into imports inside the package."""
    return re.sub(rf"^from {_PROTO_PACKAGES} import (\w+_pb2)", rf"from {PACKAGE} import \1", text, flags=re.MULTILINE)


def rewrite_types(text: str) -> str:
    """Move a generated stub file into the package; let constructors take a plain mapping for a Struct, as they do."""
    return rewrite_imports(text).replace(
        ": _struct_pb2.Struct | None = ...", ": _struct_pb2.Struct | _typing.Mapping[str, object] | None = ..."
    )


def rewrite_services(text: str) -> str:
    """Move a generated service module into the package."""
    text = re.sub(r"^import google\.protobuf\.\w+_pb2\n", "", text, flags=re.MULTILINE)
    return re.sub(rf"(?<![\w./]){_PROTO_PACKAGES}\.(\w+_pb2)\b", rf"{PACKAGE}.\1", text)


def generate() -> dict[str, str]:
    """Return the generated files: name within `mm_plugin/_proto` to text."""
    check_generators()
    files: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        run_protoc(Path(folder))
        for path in sorted(Path(folder).rglob("*.py*")):
            text = path.read_text("utf-8")
            if path.name in files:
                raise GenerationError(f"Two .proto files would write {path.name}; rename one of them.")
            if path.name.endswith("_grpc.py"):
                text = rewrite_services(text)
            elif path.suffix == ".py":
                text = rewrite_messages(text, path.name)
            else:
                text = rewrite_types(text)
            files[path.name] = text.rstrip() + "\n"
    return files


def standing() -> dict[str, str]:
    """Return the generated files as they stand."""
    patterns = ("*_pb2.py", "*_pb2.pyi", "*_grpc.py")
    return {path.name: path.read_text("utf-8") for pattern in patterns for path in sorted(TARGET.glob(pattern))}


def show_difference(old: dict[str, str], new: dict[str, str]) -> bool:
    """Print what generation would change, shortened; return whether anything would."""
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    for name in changed:
        before, after = old.get(name, ""), new.get(name, "")
        place = f"mm_plugin/_proto/{name}"
        lines = difflib.unified_diff(
            before.splitlines(), after.splitlines(), place, f"{place} (generated)", "", "", 1, ""
        )
        for line in list(lines)[:40]:
            print(line[:200])
    if changed:
        print(f"{len(changed)} generated files differ from proto/: run `make proto` and commit the result.")
    return bool(changed)


def write(old: dict[str, str], new: dict[str, str]) -> None:
    """Write what changed and remove what is no longer generated."""
    for name in old.keys() - new.keys():
        (TARGET / name).unlink()
    for name, text in new.items():
        if old.get(name) != text:
            (TARGET / name).write_text(text, "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Generate or check; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 if the generated files are out of date"
    )
    check: bool = parser.parse_args(arguments).check
    try:
        new = generate()
    except GenerationError as error:
        print(error, file=sys.stderr)
        return 1
    old = standing()
    if check:
        different = show_difference(old, new)
    else:
        write(old, new)
        different = False
    failed = 0
    if API_GENERATOR.exists():
        command = [sys.executable, str(API_GENERATOR), *(["--check"] if check else [])]
        failed = subprocess.run(command, check=False, cwd=ROOT).returncode
    return 1 if different or failed else 0


if __name__ == "__main__":
    sys.exit(main())
