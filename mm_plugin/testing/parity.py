"""Prove that the API is there in full, or show how two contracts differ.

Job:    for every rpc of the contract: client method, parameters, result, errors, server dispatch (all by calling them,
        see ``parity_calls``), an entry in the reference and a round-trip test.
Layer:  testing; a command: ``python -m mm_plugin.testing.parity``.
Usage:  python -m mm_plugin.testing.parity                 prove; exit 1 where anything is missing
        python -m mm_plugin.testing.parity diff OLD NEW    what NEW adds, removes and changes
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import anyio

from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.table import APIMethod, api_table
from mm_plugin.testing.parity_calls import EMBEDDED, REQUEST, RESULT, STATUS, Proof, call_everything

__all__ = ("main", "prove_documented", "prove_tested", "signature_of")

REFERENCE = "docs/reference/api.md"
ROUND_TRIPS = "tests/api/test_every_method.py"
DOCUMENTED = f"entry in {REFERENCE} with this signature"
TESTED = f"round-trip test in {ROUND_TRIPS} on both backends"
_BACKENDS = ("asyncio", "trio")
_SHOWN = 20


def signature_of(row: APIMethod) -> str:
    """Return a client method's signature as the reference writes it."""
    signature = inspect.signature(getattr(PluginAPIClient, row.name))
    parts: list[str] = []
    for parameter in list(signature.parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        parts.append(f"{parameter.name}: {parameter.annotation}{default}")
    return f"{row.name}({', '.join(parts)}) -> {signature.return_annotation}"


def prove_documented(page: str) -> list[Proof]:
    """Look for every method in the text of the reference: its signature, and a line for each parameter."""
    entries: dict[str, str] = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE))
    proofs: list[Proof] = []
    for row in api_table().values():
        entry = entries.get(row.name)
        problem = ""
        if entry is None:
            problem = "has no entry"
        elif f"`{signature_of(row)}`" not in entry:
            problem = f"the entry does not say `{signature_of(row)}`"
        elif missing := [p.name for p in row.parameters if f"- `{p.name}`: " not in entry]:
            problem = f"the entry does not explain {', '.join(missing)}"
        proofs.append(Proof(row.rpc, DOCUMENTED, problem))
    return proofs


def prove_tested(collected: str) -> list[Proof]:
    """Look for every rpc among the names of the round-trip tests that pytest has collected."""
    names = set(re.findall(r"\[([\w-]+)\]$", collected, re.MULTILINE))
    proofs: list[Proof] = []
    for rpc in api_table():
        missing = [backend for backend in _BACKENDS if not {f"{backend}-{rpc}", f"{rpc}-{backend}"} & names]
        proofs.append(Proof(rpc, TESTED, f"no test on {' and '.join(missing)}" if missing else ""))
    return proofs


def _prove(root: Path) -> int:
    backends = [name for name in _BACKENDS if importlib.util.find_spec(name)]
    proofs = [proof for backend in backends for proof in anyio.run(call_everything, backend=backend)]
    for backend in set(_BACKENDS) - set(backends):
        print(f"skipped: {backend} is not installed")
    wanted = [REQUEST, RESULT, EMBEDDED, STATUS]
    for what, path, prove in ((DOCUMENTED, REFERENCE, _documented), (TESTED, ROUND_TRIPS, _tested)):
        if (root / path).exists():
            proofs += prove(root)
            wanted.append(what)
        else:
            print(f"skipped: {root} has no {path}")
    print(
        f"PluginAPI: {len(api_table())} rpcs, each called on {' and '.join(backends)}, over memory and TCP, "
        f"by await and by api.sync"
    )
    return _report(proofs, wanted)


def _report(proofs: Iterable[Proof], wanted: list[str]) -> int:
    failed = [proof for proof in proofs if proof.problem]
    for what in wanted:
        bad = {proof.rpc for proof in failed if proof.what == what}
        print(f"  {len(api_table()) - len(bad):3} of {len(api_table())}  {what}")
    for proof in failed[:_SHOWN]:
        print(f"{proof.rpc}: {proof.what}: {proof.problem}"[:500])
    if len(failed) > _SHOWN:
        print(f"and {len(failed) - _SHOWN} more")
    return 1 if failed else 0


def _documented(root: Path) -> list[Proof]:
    return prove_documented((root / REFERENCE).read_text("utf-8"))


def _tested(root: Path) -> list[Proof]:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-k", "arrive_as_given", ROUND_TRIPS]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)  # noqa: S603 - our own tests
    return prove_tested(done.stdout)


def main(arguments: list[str] | None = None) -> int:
    """Prove, or compare; return the exit code.

    A comparison ends with 0, with 1 where NEW removes or changes something, and with 2 where it cannot be read.
    """
    parser = argparse.ArgumentParser(
        prog="python -m mm_plugin.testing.parity", description=(__doc__ or "").split("\n")[0]
    )
    commands = parser.add_subparsers(dest="command")
    diff = commands.add_parser("diff", help="compare two contracts")
    diff.add_argument("old", type=Path, help="a folder of .proto files, or a descriptor set")
    diff.add_argument("new", type=Path, help="likewise")
    parser.add_argument(
        "--root", type=Path, default=Path.cwd(), help="the repository; by default the working directory"
    )
    given = parser.parse_args(arguments)
    if given.command == "diff":
        from mm_plugin.testing.parity_diff import ContractError, compare, read_contract

        try:
            changes = compare(read_contract(given.old), read_contract(given.new))
        except ContractError as error:
            print(error, file=sys.stderr)
            return 2
        print(changes.text())
        return 1 if changes.removed or changes.changed else 0
    return _prove(given.root)


if __name__ == "__main__":
    sys.exit(main())
