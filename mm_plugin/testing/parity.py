"""Prove that the API is there in full, or show how two contracts differ.

Job:    for every rpc of the contract: client method, parameters, defaults, result, errors, server dispatch (all by
        calling them, see ``parity_calls``), an entry in the reference, and a round-trip test that passes.
Layer:  testing; a command: ``python -m mm_plugin.testing.parity``.
Usage:  python -m mm_plugin.testing.parity                 prove; exit 1 where anything is missing or not proved
        python -m mm_plugin.testing.parity diff OLD NEW    what NEW adds, removes and changes

Reference and tests belong to a checkout. Where there is none, what they prove counts as not proved, unless
``--without-docs`` and ``--without-tests`` say that it is not wanted.
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import anyio

from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.table import APIMethod, api_table
from mm_plugin.testing.parity_calls import Proof, call_everything

__all__ = ("main", "prove_documented", "prove_tested", "run_round_trips", "signature_of")

REFERENCE = "docs/reference/api.md"
ROUND_TRIPS = "tests/api/test_every_method.py"
DOCUMENTED = f"entry in {REFERENCE} with this signature and each parameter"
TESTED = f"round-trip test in {ROUND_TRIPS} has passed on both backends"
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


def run_round_trips(root: Path) -> subprocess.Popen[str]:
    """Start the round-trip tests of a checkout; its output is what pytest says of each."""
    options = ["-q", "-rpfEsx", "--tb=no", "-p", "no:cacheprovider", "-k", "arrive_as_given"]
    command = [sys.executable, "-m", "pytest", *options, ROUND_TRIPS]
    return subprocess.Popen(  # noqa: S603 - our own tests
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def prove_tested(report: str) -> list[Proof]:
    """Look for every rpc among the round-trip tests that have passed, by pytest's report."""
    outcomes = {name: outcome for outcome, name in re.findall(r"^([A-Z]+) \S*\[([\w-]+)\]", report, re.MULTILINE)}
    proofs: list[Proof] = []
    for rpc in api_table():
        problems: list[str] = []
        for backend in _BACKENDS:
            outcome = outcomes.get(f"{backend}-{rpc}") or outcomes.get(f"{rpc}-{backend}")
            if outcome != "PASSED":
                problems.append(f"the test has {outcome}" if outcome else "there is no test")
                problems[-1] += f" on {backend}"
        proofs.append(Proof(rpc, TESTED, "; ".join(problems)))
    return proofs


def _prove(root: Path, *, docs: bool, tests: bool) -> int:
    unproved: list[str] = []

    def there(path: str, what: str, option: str) -> bool:
        if not (root / path).exists():
            advice = f"name a checkout by --root, or leave this out by {option}"
            unproved.append(f"{what}: {root} has no {path}; {advice}")
        return (root / path).exists()

    documented = docs and there(REFERENCE, DOCUMENTED, "--without-docs")
    tested = tests and there(ROUND_TRIPS, TESTED, "--without-tests")
    with run_round_trips(root) if tested else nullcontext() as running:  # while the calls are made
        proofs = _called(unproved)
        if documented:
            proofs += prove_documented((root / REFERENCE).read_text("utf-8"))
        if running is not None:
            report = running.communicate()[0]
            found = prove_tested(report)
            proofs += found
            if all(proof.problem for proof in found):
                print(report, file=sys.stderr)  # pytest itself, or all of the suite, is what fails
    print(f"PluginAPI: {len(api_table())} rpcs, each called in {len({p.way for p in proofs if p.way})} ways:")
    print("  on asyncio and trio, over memory and TCP, by await and by api.sync")
    return _report(proofs, unproved)


def _called(unproved: list[str]) -> list[Proof]:
    proofs: list[Proof] = []
    for backend in _BACKENDS:
        if importlib.util.find_spec(backend):
            called = anyio.run(call_everything, backend=backend)
            proofs += [replace(proof, way=f"{backend} {proof.way}") for proof in called]
        else:
            unproved.append(f"anything on {backend}: it is not installed; `pip install 'mm-plugin[{backend}]'`")
    return proofs


def _report(proofs: Iterable[Proof], unproved: list[str]) -> int:
    proofs = list(proofs)
    failed = [proof for proof in proofs if proof.problem]
    for what in dict.fromkeys(proof.what for proof in proofs):
        bad = {proof.rpc for proof in failed if proof.what == what}
        print(f"  {len(api_table()) - len(bad):3} of {len(api_table())}  {what}")
    for text in unproved:
        print(f"  NOT PROVEN  {text}")
    ways = Counter((proof.rpc, proof.what, proof.problem) for proof in failed)
    first_ways = {(proof.rpc, proof.what, proof.problem): proof.way for proof in reversed(failed)}
    for (rpc, what, problem), times in list(ways.items())[:_SHOWN]:
        way = first_ways[rpc, what, problem]
        more = f" and in {times - 1} more ways" if times > 1 else ""
        print(f"{rpc}: {what}: {problem}"[:500] + (f" ({way}{more})" if way else ""))
    if len(ways) > _SHOWN:
        others = sorted({rpc for rpc, _, _ in list(ways)[_SHOWN:]})
        print(f"and {len(ways) - _SHOWN} more, of {', '.join(others)}"[:2000])
    return 1 if failed or unproved else 0


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
    parser.add_argument("--without-docs", action="store_true", help="do not ask for entries in the reference")
    parser.add_argument("--without-tests", action="store_true", help="do not run the round-trip tests")
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
    return _prove(given.root, docs=not given.without_docs, tests=not given.without_tests)


if __name__ == "__main__":
    sys.exit(main())
