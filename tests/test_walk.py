"""How many files of the package one echo and one Close pass through: what a reader must open."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree

from tests.support.clockwork import virtual_time
from tools.walk import Step, Walk, walk_close, walk_echo
from tools.walk_picture import picture

MOST_FILES_OF_AN_ECHO = 6
MOST_FILES_OF_A_CLOSE = 13


class TestRoutes:
    @virtual_time
    async def test_an_echo_passes_few_files(self) -> None:
        walk = await walk_echo()
        assert len(walk.files) <= MOST_FILES_OF_AN_ECHO, str(walk)

    @virtual_time
    async def test_a_close_passes_few_files(self) -> None:
        walk = await walk_close()
        assert len(walk.files) <= MOST_FILES_OF_A_CLOSE, str(walk)

    @virtual_time
    async def test_an_echo_is_seen_from_the_read_to_the_send(self) -> None:
        functions = [step.function for step in (await walk_echo()).steps]
        assert functions[0] in ("get_buffer", "buffer_updated", "data_received")
        assert "send" in functions
        assert "connection_lost" not in functions

    @virtual_time
    async def test_a_close_is_seen_to_the_end_of_the_connection(self) -> None:
        functions = [step.function for step in (await walk_close()).steps]
        assert functions[0] in ("get_buffer", "buffer_updated", "data_received")
        assert "connection_lost" in functions

    @virtual_time
    async def test_the_same_route_each_time_and_no_hook_left(self) -> None:
        before = sys.getprofile()
        await walk_close()  # what is made once is made
        assert (await walk_close()).steps == (await walk_close()).steps
        assert sys.getprofile() is before


class TestPicture:
    WALK = Walk(
        "An <echo>",
        [Step("wire.py", "read"), Step("core.py", "parse"), Step("core.py", "answer"),
         Step("wire.py", "send")],
    )  # fmt: skip

    def test_files_functions_and_order(self) -> None:
        assert self.WALK.visits == [
            ("wire.py", ["read"]), ("core.py", ["parse", "answer"]), ("wire.py", ["send"]),
        ]  # fmt: skip
        root = ElementTree.fromstring(picture([self.WALK]))
        texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
        assert texts == [
            "An <echo>. 2 files, 2 changes of file.", "wire.py", "core.py",
            "1", "read", "2", "parse", "answer", "3", "send",
        ]  # fmt: skip
        paths = [each.get("d", "") for each in root.iter("{http://www.w3.org/2000/svg}path")]
        assert len(paths) == 1 + 2  # the arrow's head, and an arrow a change of file

    def test_nothing_is_loaded_and_nothing_runs(self) -> None:
        drawn = picture([self.WALK, self.WALK])
        assert "<script" not in drawn
        assert drawn.count("http") == 1  # the namespace

    def test_the_text_names_each_call(self) -> None:
        assert str(self.WALK).splitlines() == [
            "An <echo>: 2 files, 2 changes of file",
            "  wire.py: read", "  core.py: parse", "  core.py: answer", "  wire.py: send",
        ]  # fmt: skip
