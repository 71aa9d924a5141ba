"""What the API's own description allows, and much that it does not, is sent to it: nothing breaks it."""

from __future__ import annotations

import subprocess
import sys

from tests import data
from tests.house import House

KEY = "a-key-for-the-fuzzer"


def test_no_request_breaks_the_api_or_passes_without_a_key(house: House) -> None:
    data.make_trip()  # trip 1 and user 1, which a small number finds
    with house.api(API_KEY=KEY, API_REQUESTS_PER_MINUTE="0") as url:
        fuzzer = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
                *("--header", f"Authorization: Bearer {KEY}"),
                *("--checks", "not_a_server_error,response_schema_conformance,ignored_auth"),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", "40"),
                *("--request-timeout", "30", "--no-shrink"),
            ],
            cwd=house.folder,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert fuzzer.returncode == 0, fuzzer.stdout + fuzzer.stderr
    assert " passed" in fuzzer.stdout
