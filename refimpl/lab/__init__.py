"""Instruments: record bytes on the wire, name every bit, draw, time, and check for leaks.

Record
    async with wiretap(host, port) as tap:  a recording proxy: point any program at tap.uri
    tap.capture, tap.captures               the recording: of the (first) WebSocket; of all
    await tap.idle()                        wait until every connection has ended; or await
                                            tap.until(lambda capture: len(capture.frames_of()) > 2)
    async with chaos(host, port, slices=(1, 4)) as network:   a bad network at network.uri
    with valkey() as url:                   a real Valkey or Redis, started for the block
    async with program(node, "node-1") as one:   a function in a process of its own; one.kill()
    Wire(client, server).run()              two protocol cores joined in memory; .capture, .heard
    Capture.load("wscat")                   a recording that comes with this; .save(path)
    Capture.of(("client", b"..."), ...)     a recording from bytes; frames=True: without heads
Look at a capture
    capture.text()                          the conversation, the same text each run; headers=False
                                            exact=True pings=True ends=True limit=40
    capture.decode()                        steps: .direction .seconds .item .wire .payload .problem
    capture.draw("claim")                   sequence diagram; times=True ends=True pings=True
    capture.frames_of("client")             its Frames; .wires_of: the same as bytes on the wire
    capture                                 as the last line of a cell: the diagram
Look at bytes
    annotate(data)                          every byte beside its field; hide_key=True where random;
                                            data: bytes, a Frame, a Request, a Response
    hexdump(data)                           offset, hex, characters
    draw_frame(data, "claim")               the bit layout to scale, with names and values
    dissect(data, position=0)               .fields: name start bits value meaning; .problems
    draw_states(TRANSITIONS, "claim")       the state diagram from the table; also mermaid_states
Charts (each returns a Picture: make it the last line of a cell, or call .show(); nbval compares its
claim and alt text, so measured numbers belong on the axes and not in those two)
    bars({name: number}, "claim", unit="bytes a message")
    stacked({bar: {part: number}}, "claim", unit="bytes", bad=["lost"])
    lines({name: [(x, y), ...]}, "claim", x="payload, bytes", y="milliseconds", log="xy")
    histogram({name: samples}, "claim", unit="milliseconds")
    dots({name: samples}, "claim", unit="milliseconds", log=True)   for some dozens, a dot each
    points({name: [(x, y), ...]}, "claim", x="wait, ms", y="bytes", labels={name: [word, ...]})
    timeline({row: [(from, to), ...]}, "claim", unit="milliseconds")
    grid({row: [word, ...]}, [column, ...], "claim", kind=good_or_bad)
    chain([(step, result), ...], "claim")   boxes below one another
    draw_flame(profile, "claim")            a profile's flame graph; highlight=["encode"]
    odometer(2)                             how far the package has come with a chapter
    with canvas("claim", alt="...") as c:   draw on c.axes; then c.picture
    figure_with_alt(figure, "...")          any matplotlib figure, with its text alternative
Code, errors, time, order
    show(parse_frame)                       the package's source, or show("refimpl.framing.FIN");
                                            docstring=False, outline=True
    with expect_error(RemoteProtocolError): must raise; prints the error in a line; async with too
    compare([f, g], argument)               fair timing: .ratio("f", "g") .at_least(5, "f", "g")
    await assert_nothing_left()             the last cell: 'nothing left: no task, no socket'
Ask, and let try
    with prediction("question?", "an answer", "another"):   what it prints is shown folded
    cluster()                               a widget: two nodes and a store to cut, kill and heal

`Frame`, `Request` and `Response` show themselves annotated once this package is imported.
Matplotlib is imported when the first figure is drawn. `python -m tools.record.programs` makes the
recordings.

>>> annotate(b"GET / HTTP/1.1\\r\\nHost: example.org\\r\\n\\r\\n")
GET / HTTP/1.1     the request line: method, target, version
Host: example.org  which site is meant
                   the empty line: the head ends here
"""

from refimpl.lab.displays import register as _register
from refimpl.lab.draw.bitfields import draw_frame
from refimpl.lab.draw.charts import bars, histogram, lines, timeline
from refimpl.lab.draw.figures import Picture, canvas, figure_with_alt
from refimpl.lab.draw.flames import draw_flame
from refimpl.lab.draw.grids import chain, grid, stacked
from refimpl.lab.draw.odometer import odometer
from refimpl.lab.draw.scatter import dots, points
from refimpl.lab.draw.sequence import draw_sequence
from refimpl.lab.draw.states import draw_states, mermaid_states
from refimpl.lab.leaks import assert_nothing_left
from refimpl.lab.leaks import start_counting as _start_counting
from refimpl.lab.prediction import prediction
from refimpl.lab.programs import Program, program
from refimpl.lab.source import expect_error, show
from refimpl.lab.text import Text, hexdump, preview
from refimpl.lab.timing import Comparison, compare, duration
from refimpl.lab.valkey import valkey
from refimpl.lab.widgets import cluster
from refimpl.lab.wire.annotate import annotate
from refimpl.lab.wire.capture import Capture
from refimpl.lab.wire.chaos import Chaos, Faults, chaos
from refimpl.lab.wire.decode import Body, Chunk, End, Malformed, Step, Unfinished
from refimpl.lab.wire.dissect import Dissection, Field, dissect, dissect_all
from refimpl.lab.wire.heads import annotate_head
from refimpl.lab.wire.tap import Wire, Wiretap, wiretap
from refimpl.lab.wire.transcript import transcript

__all__ = [
    "Body",
    "Capture",
    "Chaos",
    "Chunk",
    "Comparison",
    "Dissection",
    "End",
    "Faults",
    "Field",
    "Malformed",
    "Picture",
    "Program",
    "Step",
    "Text",
    "Unfinished",
    "Wire",
    "Wiretap",
    "annotate",
    "annotate_head",
    "assert_nothing_left",
    "bars",
    "canvas",
    "chain",
    "chaos",
    "cluster",
    "compare",
    "dissect",
    "dissect_all",
    "dots",
    "draw_flame",
    "draw_frame",
    "draw_sequence",
    "draw_states",
    "duration",
    "expect_error",
    "figure_with_alt",
    "grid",
    "hexdump",
    "histogram",
    "lines",
    "mermaid_states",
    "odometer",
    "points",
    "prediction",
    "preview",
    "program",
    "show",
    "stacked",
    "timeline",
    "transcript",
    "valkey",
    "wiretap",
]

_start_counting()
_register()
