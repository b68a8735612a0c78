"""Makes tests/app/tiny_study.py and tests/invariance/runs.py importable, which these tests share."""

import sys
from pathlib import Path

for folder in ("app", "invariance"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))
