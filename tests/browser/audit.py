"""What a page owes to everybody, computed in the page: names, contrast, order, width.

Rules of WCAG 2.2 AA that a program can judge: 1.1.1, 1.3.1, 1.4.3, 1.4.10, 2.5.8, 4.1.2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["audit"]

SCRIPT = Path(__file__).with_name("audit.js").read_text(encoding="utf-8")


async def audit(page: Any) -> list[str]:
    """Return what is wrong with the page as it stands, a line each."""
    faults: list[str] = await page.evaluate(SCRIPT)
    return faults
