"""Profiles as pictures and documents: to scale, complete, and safe whatever the names are."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.profiling.flame import DEEPEST, boxes, flame_graph, hot_path
from refimpl.profiling.render import CONTENT_TYPES, SCHEMA, Finding, render, speedscope
from refimpl.profiling.stacks import Call, Profile, hottest_table, measured, place

SVG = "{http://www.w3.org/2000/svg}"
NAMES = st.sampled_from(["serve", "handle", "encode", "send", "<lambda>"])
PROFILES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=6).map(";".join), st.integers(1, 1000), max_size=12
).map(Profile.folded)


def drawn(svg: str) -> list[tuple[str, float, float]]:
    """(what a pointer on it shows, x, width) of each box."""
    found = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        title, rect = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None and title.text is not None and rect is not None
        found.append((title.text, float(rect.attrib["x"]), float(rect.attrib["width"])))
    return found


class TestBoxes:
    @given(PROFILES)
    def test_a_caller_is_as_wide_as_what_it_called_and_itself(self, profile: Profile) -> None:
        found = boxes(profile)
        for box in found:
            above = [
                other
                for other in found
                if other.depth == box.depth + 1
                and box.start - 1e-9 <= other.start < box.start + box.width - 1e-9
            ]
            assert sum(each.width for each in above) + box.own == pytest.approx(box.width)
        ground = sum(box.width for box in found if box.depth == 0)
        assert ground == pytest.approx(1 if profile.samples else 0)

    @given(PROFILES)
    def test_every_function_has_its_share(self, profile: Profile) -> None:
        found = boxes(profile)
        for hot in profile.hottest(100):
            own = sum(box.own for box in found if box.call == hot.call)
            assert own * profile.total == pytest.approx(hot.own)

    def test_the_widest_is_on_the_left(self) -> None:
        starts = {
            box.call.function: box.start for box in boxes(Profile.folded({"a": 1, "b": 5, "c": 3}))
        }
        assert starts == pytest.approx({"b": 0, "c": 5 / 9, "a": 8 / 9})

    def test_recursion_is_a_tower_and_counts_once(self) -> None:
        profile = Profile.folded({"f;f;f": 4, "g": 1})
        assert [box.depth for box in boxes(profile) if box.call.function == "f"] == [0, 1, 2]
        assert profile.hottest(1)[0].total == 4

    def test_a_bottomless_stack_is_cut(self) -> None:
        profile = Profile.folded({";".join(["f"] * 5000): 1})
        assert max(box.depth for box in boxes(profile)) == DEEPEST - 1

    def test_hot_path_ends_where_the_time_is_spread(self) -> None:
        profile = Profile.folded({"a;b;x": 3, "a;b;y": 3, "a;b;z": 3, "a;c": 1, "d": 2})
        assert [call.function for call in hot_path(profile)] == ["a", "b"]
        assert hot_path(Profile([])) == []


class TestSVG:
    def test_boxes_are_to_scale_and_say_how_much_they_are(self) -> None:
        found = drawn(flame_graph(Profile.folded({"serve;encode": 3, "serve;send": 1}), "One"))
        widths = {hover.split("\n")[0]: width for hover, _, width in found}
        assert widths["encode"] / widths["send"] == pytest.approx(3, rel=0.01)
        assert "3, 75.0% of all; 3, 75.0%, in itself" in found[1][0]

    def test_names_are_data_and_no_markup(self) -> None:
        nasty = '<script>alert("1")</script>&\x00\x1b]0;'
        profile = Profile([((Call(nasty, "<x>", 3),), 1.0)])
        svg = flame_graph(profile, nasty)
        assert "<script" not in svg
        assert ElementTree.fromstring(svg).find(f"{SVG}title") is not None
        assert "<script" not in render(Finding("cpu", nasty, profile, nasty), "html")

    def test_it_loads_nothing(self) -> None:
        svg = flame_graph(Profile.folded({"a": 1}), "One")
        for word in ("script", "href", "url(", "@import", "onload"):
            assert word not in svg
        assert svg.count("http") == 1  # the name space

    def test_no_samples_is_a_picture_too(self) -> None:
        svg = flame_graph(Profile([]))
        assert "No samples" in svg
        assert drawn(svg) == []

    def test_what_cannot_be_seen_is_left_out(self) -> None:
        stacks = {f"f{number}": 1.0 for number in range(1000)}
        assert len(drawn(flame_graph(Profile.folded({**stacks, "big": 1e6})))) == 1


class TestDocuments:
    @given(PROFILES)
    def test_json_there_and_back(self, profile: Profile) -> None:
        finding = Finding("cpu", "A title", profile, "text")
        assert Finding.from_json(finding.to_json()) == finding

    @pytest.mark.parametrize(
        "text", ["", "nonsense", "[]", "{}", '{"calls": [], "samples": [[[0], 1]]}', "null", "1"]
    )
    def test_other_json_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="expected a profile"):
            Finding.from_json(text)

    @given(PROFILES, st.sampled_from(["seconds", "bytes", "tasks"]))
    def test_speedscope_keeps_to_its_format(self, profile: Profile, unit: str) -> None:
        profile = Profile(profile.samples, unit)
        document = json.loads(json.dumps(speedscope(Finding("cpu", "A title", profile, ""))))
        assert document["$schema"] == SCHEMA
        frames = document["shared"]["frames"]
        for frame in frames:
            assert isinstance(frame["name"], str)
            assert frame.keys() <= {"name", "file", "line", "col"}
        [sampled] = document["profiles"]
        assert sampled["type"] == "sampled"
        assert sampled["unit"] == {"tasks": "none"}.get(unit, unit)
        assert len(sampled["samples"]) == len(sampled["weights"]) == len(profile.samples)
        assert all(0 <= number < len(frames) for stack in sampled["samples"] for number in stack)
        assert sampled["endValue"] - sampled["startValue"] == pytest.approx(profile.total)
        names = [[frames[number]["name"] for number in stack] for stack in sampled["samples"]]
        assert names == [[call.function for call in stack] for stack, _ in profile.samples]

    @pytest.mark.parametrize("form", CONTENT_TYPES)
    def test_every_format_holds_the_function(self, form: str) -> None:
        profile = Profile.folded({"serve;encode": 1})
        finding = Finding("cpu", "A title", profile, hottest_table(profile))
        assert "encode" in render(finding, form)


class TestWords:
    @pytest.mark.parametrize(
        ("amount", "unit", "words"),
        [
            (0.0000005, "seconds", "0.0005 ms"),
            (1, "seconds", "1 s"),
            (0, "bytes", "0 B"),
            (999, "bytes", "999 B"),
            (1024 * 1000, "bytes", "0.977 MiB"),
            (2**40, "bytes", "1.02e+03 GiB"),
            (1234567, "samples", "1,234,567"),
            (2.5, "tasks", "2.5"),
        ],
    )
    def test_amounts(self, amount: float, unit: str, words: str) -> None:
        assert measured(amount, unit) == words

    def test_places_tell_nothing_of_the_machine(self) -> None:
        import json.encoder

        import pytest as library

        import refimpl.framing

        assert place(json.encoder.__file__) == ("json/encoder.py", "standard library")
        assert place(refimpl.framing.__file__) == ("refimpl/framing.py", "refimpl")
        assert place(library.__file__) == ("pytest/__init__.py", "library")
        assert place("/home/someone/secret/app.py") == ("app.py", "application")
        assert place("C:\\Users\\someone\\app.py") == ("app.py", "application")
        assert place("/tmp/ipykernel_1/22.py") == ("<notebook>", "application")
        assert place("<frozen abc>") == ("<frozen abc>", "standard library")

    def test_no_samples_are_said_in_words(self) -> None:
        assert "nothing to do" in hottest_table(Profile([]))
