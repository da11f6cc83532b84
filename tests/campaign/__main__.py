"""Tries what can go wrong, and prints a table: family, tried, passed, failed, seconds.

python tests/campaign                        all families, small
python tests/campaign --size whole           as large as docs/reliability.md says
python tests/campaign --only hostile,kills   some of them
"""

import argparse
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1]), str(HERE.parent / "faults")]

import arguments  # noqa: E402
import corpora  # noqa: E402
import hostile  # noqa: E402
import kills  # noqa: E402
import resources  # noqa: E402
import workers  # noqa: E402
from cases import Plan, run_family  # noqa: E402

FAMILIES = {
    "kills at write events": kills.runs_at_write_events,
    "kills at random times": kills.runs_at_random_times,
    "kills while saving": kills.saving,
    "disk": resources.disk,
    "memory": resources.memory,
    "descriptors": resources.descriptors,
    "permissions": resources.permissions,
    "corpora": corpora.cases,
    "changing corpora": corpora.changing,
    "arguments": arguments.cases,
    "workers": workers.cases,
    "hostile files": hostile.cases,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", help="families, by the beginnings of their names, with commas")
    parser.add_argument("--size", choices=["small", "whole"], default="small")
    parser.add_argument("--seed", type=int, default=1, help="of the random times and corpora")
    options = parser.parse_args()
    beginnings = options.only.split(",") if options.only else [""]
    chosen = {
        name: family
        for name, family in FAMILIES.items()
        if any(name.startswith(beginning.strip()) for beginning in beginnings)
    }
    if not chosen:
        parser.error(f"--only must be among {', '.join(FAMILIES)}")
    warnings.simplefilter("ignore")
    # Imported once, and not started: every family, and every run in it, is a fork of this process.
    import kerasw2v.cli.train_run  # noqa: F401

    outcomes = []
    for name, family in chosen.items():
        folder = Path(tempfile.mkdtemp(prefix="campaign-"))
        folder.chmod(0o755)
        plan = Plan(options.size == "whole", options.seed, folder)
        outcomes.append(run_family(name, family, plan))
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{outcomes[-1].tried:6} {name}", file=sys.stderr)
    print("\n| family | tried | passed | failed | seconds |\n|---|---|---|---|---|")
    for each in outcomes:
        row = [each.family, each.tried, each.passed, len(each.failed), round(each.seconds)]
        print(f"| {' | '.join(map(str, row))} |")
    failures = [failure for each in outcomes for failure in each.failed]
    if failures:
        print(*failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
