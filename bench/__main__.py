"""`python -m bench [name ...]`: every bench in turn, or those named; a failure does not stop the rest."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SHARED_BY_BENCHES = {"__init__", "__main__", "harness", "records", "matching_script"}


def main(names: list[str]) -> int:
    """Run them; gives how many failed."""
    every = sorted(path.stem for path in HERE.glob("*.py"))
    failed = 0
    for name in names or [name for name in every if name not in SHARED_BY_BENCHES]:
        print(f"== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=HERE.parent).returncode != 0
    return failed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
