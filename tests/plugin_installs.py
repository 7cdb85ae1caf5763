"""A distribution of one module, installed as `pip` would leave it, without asking `pip`."""

from __future__ import annotations

import shutil
from pathlib import Path


def install(target: Path, module: Path, distribution: str, points: str) -> Path:
    """Put `module` and the metadata of `distribution` into a folder that belongs on the import path."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy2(module, target / module.name)
    info = target / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    about = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
    (info / "METADATA").write_text(about, encoding="utf-8")
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    return target
