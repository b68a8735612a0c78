"""Makes tests/app/tiny_study.py importable, which holds the study of these tests too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))
