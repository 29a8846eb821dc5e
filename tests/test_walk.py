"""How many files of the package one echo and one Close pass through: what a reader must open."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from refimpl.framing import Frame, Opcode, parse_frame
from tests.support.clockwork import virtual_time
from tools.walk import KEY, Step, Walk, walk_close, walk_echo
from tools.walk_picture import ROLES, picture

COMMITTED = Path(__file__).resolve().parents[1] / "notebooks" / "pictures" / "route.svg"

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

    @virtual_time
    async def test_what_came_in_what_went_out_and_who_wrote_it(self) -> None:
        for walk, opcode, payload in (
            (await walk_echo(), Opcode.TEXT, b"hello"),
            (await walk_close(), Opcode.CLOSE, b"\x03\xe8"),
        ):
            assert parse_frame(walk.received, masked=True) == (
                Frame(opcode, payload, masking_key=KEY),
                len(walk.received),
            )
            assert parse_frame(walk.sent) == (Frame(opcode, payload), len(walk.sent))
            assert walk.writer in walk.files


class TestPicture:
    WALK = Walk(
        "An <echo>",
        [Step("lifecycle/driver.py", "read"), Step("framing.py", "parse"),
         Step("framing.py", "answer"), Step("lifecycle/writer.py", "send")],
        bytes.fromhex("81 85 37 fa 21 3d 5f 9f 4d 51 58"),
        bytes.fromhex("81 05 68 65 6c 6c 6f"),
        "lifecycle/writer.py",
    )  # fmt: skip

    def test_files_with_what_they_do_and_both_frames(self) -> None:
        root = ElementTree.fromstring(picture([self.WALK]))
        texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
        assert texts[:-2] == [
            "An <echo>", "3 files, in the order of the first call",
            "lifecycle/driver.py", ROLES["lifecycle/driver.py"],
            "came in", "TEXT “hello”, masked", "81 85 37 fa 21 3d 5f", "9f 4d 51 58",
            "framing.py", ROLES["framing.py"],
            "lifecycle/writer.py", ROLES["lifecycle/writer.py"],
            "went out", "TEXT “hello”", "81 05 68 65 6c 6c 6f",
        ]  # fmt: skip
        paths = [each.get("d", "") for each in root.iter("{http://www.w3.org/2000/svg}path")]
        assert len(paths) == 1 + 2 + 2  # the arrow's head, from file to file, and one a frame

    def test_nothing_is_loaded_and_nothing_runs(self) -> None:
        drawn = picture([self.WALK, self.WALK])
        assert "<script" not in drawn
        assert drawn.count("http") == 1  # the namespace

    @virtual_time
    async def test_each_file_on_a_route_has_a_role_and_no_other(self) -> None:
        files = {*(await walk_echo()).files, *(await walk_close()).files}
        assert files == ROLES.keys()

    @virtual_time
    async def test_the_committed_picture_shows_the_routes_of_today(self) -> None:
        drawn = picture([await walk_echo(), await walk_close()])
        assert COMMITTED.read_text(encoding="utf-8") == drawn, "make walk draws it again"

    def test_the_text_names_each_call(self) -> None:
        assert str(self.WALK).splitlines() == [
            "An <echo>: 3 files, 2 changes of file",
            "  lifecycle/driver.py: read", "  framing.py: parse", "  framing.py: answer",
            "  lifecycle/writer.py: send",
        ]  # fmt: skip
