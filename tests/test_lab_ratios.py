"""The chart of a bench's record."""

from __future__ import annotations

import pytest

from refimpl.lab.draw.ratios import ratio_chart
from tests.test_bench import made_up


def test_the_chart_leaves_out_the_floor_and_ourselves() -> None:
    record = made_up(
        pp1={"refimpl": [10], "refimpl-pure": [9], "websockets": [13], "raw": [5]},
        pipe={"refimpl": [10], "aiohttp": [5]},
    )
    chart = ratio_chart(record)
    assert chart.alt == "Grid of 2 rows: websockets, aiohttp. Bad: pipe, aiohttp."
    assert chart.png().startswith(b"\x89PNG")
    with pytest.raises(LookupError, match="refimpl alone"):
        ratio_chart(made_up(pp1={"refimpl": [1]}))
