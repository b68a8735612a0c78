"""The committed manual of configuration keys is the program's own."""

from __future__ import annotations

from pathlib import Path

from tiny_study import crossweep

MANUAL = Path(__file__).resolve().parents[2] / "docs/configuration.md"


def test_the_manual_is_what_schema_prints():
    printed = crossweep("schema").stdout
    assert MANUAL.read_text() == printed, "regenerate it with: crossweep schema > docs/configuration.md"
