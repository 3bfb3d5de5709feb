import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stage import Stage, kinds


@pytest.fixture(params=kinds(), ids=lambda kind: "native" if kind == "native" else kind.strip("/").split("/")[-2])
def stage(request, tmp_path):
    return Stage(tmp_path, request.param)
