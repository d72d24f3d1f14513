"""Builds the grpc-go peer into a folder outside the tree: generators first, then the contract's Go code, then it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).parent / "go"
PROTO = Path(__file__).parents[1] / "proto"
PACKAGE = "mattermost/pluginapi/v1"
_GENERATORS = ("google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc")


def build_go_peer(folder: Path) -> Path | str:
    """Return the program, or why there is none."""
    go = shutil.which("go")
    if go is None:
        return "Go is not installed"
    if find_spec("grpc_tools") is None:
        return "grpcio-tools is not installed"
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
    (folder / "pb").mkdir(exist_ok=True)
    environment = {**os.environ, "GOBIN": str(folder / "bin"), "GOFLAGS": "-mod=mod"}
    try:
        for generator in _GENERATORS:
            _run([go, "install", generator], folder, environment)
        files = sorted(path for path in (PROTO / PACKAGE).glob("*.proto") if path.name.startswith(("hooks",)))
        files += [
            path for path in sorted((PROTO / PACKAGE).glob("*.proto")) if not path.name.startswith(("hooks", "api"))
        ]
        mapping = ",".join(f"M{path.relative_to(PROTO)}=benchmark/pb" for path in files)
        _run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                f"-I{PROTO}",
                f"-I{Path(sysconfig.get_path('purelib')) / 'grpc_tools' / '_proto'}",
                f"--plugin=protoc-gen-go={folder / 'bin' / 'protoc-gen-go'}",
                f"--plugin=protoc-gen-go-grpc={folder / 'bin' / 'protoc-gen-go-grpc'}",
                f"--go_out={folder}",
                f"--go_opt=module=benchmark,{mapping}",
                f"--go-grpc_out={folder}",
                f"--go-grpc_opt=module=benchmark,{mapping}",
                *(str(path) for path in files),
            ],
            folder,
            environment,
        )
        _run([go, "build", "-o", "peer", "."], folder, environment)
    except subprocess.CalledProcessError as error:
        return f"it does not build here: {error.stderr.strip().splitlines()[-1:]}"
    except subprocess.TimeoutExpired:
        return "it does not build here within its time"
    return folder / "peer"


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=300)
