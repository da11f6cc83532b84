"""Running one measurement of a benchmark by itself."""

import json
import os
import subprocess
import sys
from typing import Any


def run_alone(script: str, *arguments: str) -> Any:
    """Runs a script in a process of its own; returns its last line of output, read as JSON."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, script, *arguments]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(result.stdout.splitlines()[-1])
