"""Compare two versions of the contract: what was added, removed, changed.

Layer:  testing. Compares what the wire and the generated client see: rpcs, fields with number, type and name, enums.
Input:  folders of .proto files (compiled by grpcio-tools), or descriptor sets as protoc writes them.
Errors: ContractError, saying which input and how to mend it.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from mm_plugin.exceptions import MMPluginError

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import (
        DescriptorProto,
        EnumDescriptorProto,
        FieldDescriptorProto,
        FileDescriptorSet,
        MethodDescriptorProto,
    )

__all__ = ("Changes", "ContractError", "compare", "read_contract")


class ContractError(MMPluginError):
    """A contract could not be read; the text says why."""

    docs_code = "MMP130"


@dataclass(frozen=True)
class Changes:
    """What differs, one line each.

    Attributes:
        added: Only in the new version.
        removed: Only in the old version.
        changed: In both, with another meaning.
    """

    added: list[str]
    removed: list[str]
    changed: list[str]

    def text(self) -> str:
        """Return the differences for people."""
        lines: list[str] = []
        for name, found in (("added", self.added), ("removed", self.removed), ("changed", self.changed)):
            lines += [f"{len(found)} {name}", *(f"  {line}" for line in found)]
        return "\n".join(lines)


def read_contract(path: Path) -> Mapping[str, str]:
    """Return what a contract says: each rpc, message, field and enum value by its full name, with its meaning.

    Raises:
        ContractError: There is no such file, it is no descriptor set, or the .proto files do not compile.
    """
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    if not path.exists():
        raise ContractError(f"{path} does not exist; give a folder of .proto files or a descriptor set")
    octets = _compiled(path) if path.is_dir() else path.read_bytes()
    try:
        files = FileDescriptorSet.FromString(octets)
    except DecodeError as error:
        raise ContractError(f"{path} is no descriptor set; make one with protoc --descriptor_set_out") from error
    if not files.file:
        raise ContractError(f"{path} describes nothing; it must hold .proto files, or be a descriptor set")
    return dict(_entries(files))


def compare(old: Mapping[str, str], new: Mapping[str, str]) -> Changes:
    """Return what ``new`` adds to ``old``, removes from it and changes in it.

    The parts of a message or enum that is new or gone are not listed one by one.
    """
    return Changes(
        added=[f"{name}{_meaning(new[name])}" for name in _tops(new.keys() - old.keys())],
        removed=[f"{name}{_meaning(old[name])}" for name in _tops(old.keys() - new.keys())],
        changed=[
            f"{name}: {old[name]} -> {new[name]}" for name in sorted(old.keys() & new.keys()) if old[name] != new[name]
        ],
    )


def _meaning(text: str) -> str:
    return f": {text}" if text else ""


def _tops(names: set[str]) -> list[str]:
    return sorted(name for name in names if name.rpartition(".")[0] not in names)


# -- reading --------------------------------------------------------------------------------------------------


def _compiled(folder: Path) -> bytes:
    files = sorted(str(path) for path in folder.rglob("*.proto"))
    if not files:
        raise ContractError(f"{folder} holds no .proto files")
    spec = importlib.util.find_spec("grpc_tools")
    if spec is None or spec.origin is None:
        raise ContractError("grpcio-tools compiles .proto files; install it, or give a descriptor set instead")
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "contract.pb"
        well_known = Path(spec.origin).parent / "_proto"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"-I{well_known}"]
        command += [f"--descriptor_set_out={output}", *files]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - protoc
        if done.returncode:
            raise ContractError(f"{folder} does not compile:\n{done.stderr.rstrip()}")
        return output.read_bytes()


def _entries(files: FileDescriptorSet) -> Iterator[tuple[str, str]]:
    for file in files.file:
        package = f"{file.package}." if file.package else ""
        for message in file.message_type:
            yield from _message(message, package)
        for enum in file.enum_type:
            yield from _enum(enum, package)
        for service in file.service:
            yield package + service.name, ""
            for method in service.method:
                yield f"{package}{service.name}.{method.name}", _rpc(method)


def _rpc(method: MethodDescriptorProto) -> str:
    takes, gives = ("stream " if streams else "" for streams in (method.client_streaming, method.server_streaming))
    return f"rpc({takes}{_short(method.input_type)}) returns ({gives}{_short(method.output_type)})"


def _message(message: DescriptorProto, prefix: str) -> Iterator[tuple[str, str]]:
    name = prefix + message.name
    yield name, ""
    for field in message.field:
        yield f"{name}.{field.name}", _field(field, message)
    for nested in message.nested_type:
        yield from _message(nested, f"{name}.")
    for enum in message.enum_type:
        yield from _enum(enum, f"{name}.")


def _field(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    kind = _short(field.type_name) or field.Type.Name(field.type).removeprefix("TYPE_").lower()
    label = "repeated " if field.label == field.LABEL_REPEATED else "optional " if field.proto3_optional else ""
    if field.HasField("oneof_index") and not field.proto3_optional:
        label = f"oneof {message.oneof_decl[field.oneof_index].name} "
    packing = f" [packed = {str(field.options.packed).lower()}]" if field.options.HasField("packed") else ""
    return f"{label}{kind} = {field.number}{packing}"


def _enum(enum: EnumDescriptorProto, prefix: str) -> Iterator[tuple[str, str]]:
    name = prefix + enum.name
    yield name, ""
    for value in enum.value:
        yield f"{name}.{value.name}", str(value.number)


def _short(type_name: str) -> str:
    return type_name.removeprefix(".")
