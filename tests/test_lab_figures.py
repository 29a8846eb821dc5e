"""Figures: to scale, readable, with words for those who do not see them."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest
from matplotlib.text import Text
from PIL import Image

from refimpl.framing import Frame, Opcode
from refimpl.lab import (
    Capture,
    Picture,
    bars,
    canvas,
    dots,
    draw_frame,
    draw_states,
    figure_with_alt,
    histogram,
    lines,
    mermaid_states,
    points,
    timeline,
)
from refimpl.messages.state import TRANSITIONS

KEY = bytes.fromhex("37fa213d")
SAMPLES = {
    "polling": [20 + each / 10 for each in range(300)],
    "WebSocket": [1 + each / 100 for each in range(300)],
}

PICTURES = {
    "frame": lambda: draw_frame(Frame(Opcode.TEXT, b"Hello", masking_key=KEY), "A frame"),
    "frame of 300": lambda: draw_frame(Frame(Opcode.BINARY, bytes(300), masking_key=KEY)),
    "frame of 70,000": lambda: draw_frame(Frame(Opcode.CONTINUATION, b"A" * 70_000, fin=False)),
    "close frame": lambda: draw_frame(Frame(Opcode.CLOSE, b"\x03\xeabye"), masked=True),
    "wrong frame": lambda: draw_frame(bytes.fromhex("f3ff0000000000000001")),
    "two bytes": lambda: draw_frame(b"\x89\x00"),
    "states": lambda: draw_states(TRANSITIONS, "Six phases"),
    "wscat": lambda: Capture.load("wscat").draw(),
    "node": lambda: Capture.load("node_ws").draw(times=True, ends=True),
    "curl": lambda: Capture.load("curl").draw(),
    "deflate": lambda: Capture.load("chromium_deflate").draw(),
    "bars": lambda: bars(
        {"polling": 81200, "long polling": 5000, "WebSocket": 6}, "Bars", unit="bytes"
    ),
    "log bars": lambda: bars({"a": 81200, "b": 6}, "Bars", unit="bytes", log=True, highlight=["b"]),
    "lines": lambda: lines(
        {"one": [(1, 1), (10, 10)], "two": [(1, 1), (10, 9.9)], "three": [(1, 0.5), (10, 9.8)]},
        "Lines",
        x="bytes",
        y="milliseconds",
    ),
    "log lines": lambda: lines({"one": [(1, 1), (1e6, 1e3)]}, "Lines", x="b", y="ms", log="xy"),
    "histogram": lambda: histogram(SAMPLES, "Waiting", unit="milliseconds", log=True),
    "dots": lambda: dots(
        {"polling": [1, 40, 50, 51, 90], "WebSocket": [1, 2]}, "Dots", unit="ms", log=True
    ),
    "points": lambda: points(
        {"polling": [(40, 900), (90, 300)], "long": [(1, 80)], "WebSocket": [(0.9, 26)]},
        "Points",
        x="ms",
        y="bytes",
        log="xy",
        labels={"polling": ["often", "seldom"]},
    ),
    "narrow log lines": lambda: lines({"one": [(1, 2), (9, 9)]}, "L", x="b", y="ms", log="xy"),
    "timeline": lambda: timeline(
        {"open": [(0, 5)], "data": [(6, 6), (9, 9)]}, "In order", notes=[("data", 6, "Hello")]
    ),
}


def texts(picture: Picture) -> list[Text]:
    """Return every text that the figure shows, laid out."""
    picture.figure.canvas.draw()
    found: list[Text] = []
    for axes in picture.figure.axes:
        found += [*axes.texts, axes.title, getattr(axes, "_left_title")]  # noqa: B009
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                found += [axis.label, *axis.get_ticklabels()]
    return [each for each in found if each.get_text().strip() and each.get_visible()]


@pytest.fixture(params=PICTURES)
def picture(request: pytest.FixtureRequest) -> Picture:
    made = PICTURES[request.param]()
    assert isinstance(made, Picture)
    return made


class TestEveryFigure:
    def test_text_is_at_least_nine_points(self, picture: Picture) -> None:
        sizes = {each.get_text(): each.get_fontsize() for each in texts(picture)}
        assert sizes and min(sizes.values()) >= 9, sizes

    def test_no_text_lies_on_another(self, picture: Picture) -> None:
        boxes = [
            (each.get_text(), each.get_window_extent().shrunk(0.9, 0.75)) for each in texts(picture)
        ]
        for index, (words, box) in enumerate(boxes):
            for other_words, other in boxes[index + 1 :]:
                assert not box.overlaps(other), (words, other_words)

    def test_is_as_wide_as_a_notebook_and_small_on_disk(self, picture: Picture) -> None:
        png = picture.png()
        with Image.open(io.BytesIO(png)) as image:
            assert 600 <= image.width <= 1000
        assert len(png) < 80_000

    def test_has_words(self, picture: Picture) -> None:
        assert len(picture.alt) > 20
        assert repr(picture).startswith("[figure] ")
        data, metadata = picture.mimebundle()
        assert metadata["image/png"]["alt"] == picture.words
        assert data["text/plain"] == repr(picture)


class TestFrame:
    def test_boxes_are_to_scale_and_cover_the_frame(self) -> None:
        from matplotlib.patches import Rectangle

        drawn = PICTURES["frame"]()
        boxes = [each for each in drawn.figure.axes[0].patches if isinstance(each, Rectangle)]
        assert sum(round(box.get_width()) for box in boxes) == 11 * 8
        assert [round(box.get_width()) for box in boxes[:7]] == [1, 1, 1, 1, 4, 1, 7]

    def test_every_value_is_written(self) -> None:
        words = {each.get_text() for each in texts(PICTURES["frame"]())}
        assert {
            "FIN",
            "RSV1",
            "RSV2",
            "RSV3",
            "opcode",
            "TEXT",
            "MASK",
            "5",
            "37",
            "fa",
            "21",
            "3d",
        } <= words
        assert "xor 37 = 48  'H'" in words

    def test_words_name_fields_and_faults(self) -> None:
        assert PICTURES["frame"]().alt == (
            "A frame of 11 bytes: FIN 1, RSV1 0, RSV2 0, RSV3 0, opcode TEXT, MASK 1, "
            "payload length 5, masking key 37 fa 21 3d, payload 'Hello'."
        )
        assert "Wrong: opcode 0x3 is reserved" in PICTURES["wrong frame"]().alt

    def test_rest_of_a_long_payload_is_counted(self) -> None:
        words = {each.get_text() for each in texts(PICTURES["frame of 300"]())}
        assert "... and 288 more bytes of payload" in words


class TestSequence:
    def test_one_arrow_a_step_in_order(self) -> None:
        drawn = Capture.load("node_ws").draw()
        labels = [each for each in texts(drawn) if each.get_fontsize() == 10.5]
        labels.sort(key=lambda label: label.get_position()[1])
        assert [label.get_text().split()[0] for label in labels] == [
            "GET",
            "HTTP/1.1",
            *("TEXT", "TEXT", "BINARY", "BINARY", "TEXT", "CONTINUATION"),
            *("PING", "PONG", "CONTINUATION", "TEXT", "CLOSE", "CLOSE"),
        ]

    def test_pings_show_what_they_carry_when_asked(self) -> None:
        said = Capture.load("node_ws")
        words = [each.get_text() for each in texts(said.draw(pings=True))]
        assert "PING  'still there?'  (18 bytes)" in words
        assert "PING  (18 bytes)" in [each.get_text() for each in texts(said.draw())]

    def test_words_tell_the_story(self) -> None:
        assert Capture.load("wscat").draw().alt == (
            "Sequence diagram, in order: client GET request; server 101 response; "
            "client Text frame (2 times); server Text frame (2 times); "
            "client Close frame; server Close frame."
        )

    def test_a_broken_rule_differs_in_colour_and_dash(self) -> None:
        capture = Capture.of(("client", b"\x89\x00"), ("server", b"\x8a\x00"), frames=True)
        arrows = [
            line
            for line in capture.draw().figure.axes[0].lines
            if len(line.get_xdata()) == 2 and len(set(line.get_xdata())) == 2
        ]
        assert len(arrows) == 2
        assert len({line.get_color() for line in arrows}) == 2
        assert len({str(line._dash_pattern) for line in arrows}) == 2


class TestStates:
    def test_drawn_from_the_table(self) -> None:
        alt = PICTURES["states"]().alt
        for (before, trigger), after in TRANSITIONS.items():
            sentence = alt.partition(f"{before.name}: ")[2].partition(".")[0]
            assert (trigger.name in sentence) == (after is not None)

    def test_what_leads_there_from_anywhere_is_written_once(self) -> None:
        words = [each.get_text() for each in texts(PICTURES["states"]())]
        assert words.count("LOSE_TCP\nfrom anywhere") == 1
        assert words.count("LOSE_TCP") == 1  # the straight arrow to the next state is drawn

    def test_mermaid_has_every_arrow(self) -> None:
        text = mermaid_states(TRANSITIONS)
        assert text.startswith("stateDiagram-v2")
        assert len(text.splitlines()) == 2 + len(
            {(before, after) for (before, _), after in TRANSITIONS.items() if after is not None}
        )


class TestPicture:
    def test_is_shown_once_with_its_words_folded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
        monkeypatch.setattr(
            "IPython.display.display",
            lambda data, raw, metadata=None: shown.append((data, metadata)),
        )
        with canvas("Half < whole", alt="One bar & more.") as drawn:
            drawn.axes.barh(["a"], [1])
        drawn.picture._ipython_display_()
        (image, metadata), (words, _) = shown
        assert image["text/plain"] == "[figure] Half < whole. One bar & more."
        assert metadata["image/png"]["alt"] == "Half < whole. One bar & more."
        assert "One bar &amp; more." in words["text/html"]

    def test_any_figure_can_have_words(self) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 2))
        figure.add_subplot().plot([1, 2])
        assert repr(figure_with_alt(figure, "A line.")) == "[figure] A line."
        assert figure_with_alt(figure, "A line.").png().startswith(b"\x89PNG")

    def test_png_is_the_same_each_time(self) -> None:
        assert PICTURES["bars"]().png() == PICTURES["bars"]().png()


def test_chart_names_percentiles() -> None:
    words = {each.get_text() for each in texts(PICTURES["histogram"]())}
    assert {"polling", "WebSocket"} <= words
    assert any(each.startswith("median ") for each in words)
    assert any(each.startswith("p99 ") for each in words)


def test_matplotlib_comes_with_the_first_figure_only() -> None:
    code = (
        "import sys, refimpl; assert 'refimpl.lab' not in sys.modules; import refimpl.lab;"
        "assert not {'matplotlib', 'IPython', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
