"""Compare proto/ with the wire tables where they are at hand, and say so where they are not."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECK = ROOT.parent / "shared" / "bin" / "check-wire"


def main() -> int:
    """Run the comparison; return its exit code, 0 where it cannot run."""
    if not CHECK.exists():
        print(f"skipped: no wire tables beside the checkout ({CHECK.parent.parent.name}/ is missing)")
        return 0
    return subprocess.run([sys.executable, CHECK, ROOT / "proto"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
