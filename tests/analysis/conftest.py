"""Makes the scripts of analysis/ importable and keeps torch to one thread: other tests run beside these."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["MPLBACKEND"] = "Agg"
_ANALYSIS = Path(__file__).resolve().parents[2] / "analysis"
sys.path[:0] = [str(_ANALYSIS), str(_ANALYSIS / "training"), str(_ANALYSIS / "benchmarks"), str(Path(__file__).parent)]
