"""Reading and drawing the results of crossweep studies (`results.h5`, see docs/results.md)."""

from .study import Axis, Results, ResultsError, SelectionError

__all__ = ["Axis", "Results", "ResultsError", "SelectionError"]
