// One frame drawn to scale: every bit as wide as every other, each field with its name and value.

import { el, plural } from "./dom.js";
import { hex, meaning } from "./frame.js";

const ROWS = 6; // of a drawing; what does not fit is counted
const SHOWN = 12; // bytes in the table of the mask
const NARROW = 480; // px below which a row has 16 bits, as a byte needs room for its name

/** Fill node with the frame: title, drawing, masking, payload. */
export function showFrame(node, frame, direction) {
  const said = meaning(frame);
  const sent = direction === "in";
  const way = el(
    "span",
    { className: `way ${direction}` },
    sent ? "↑ this page sent it" : "↓ the server sent it",
  );
  const { size, header, length, form } = frame;
  const parts = `${header} header + ${length.toLocaleString("en")} payload (${form} length)`;
  const rowBits = node.clientWidth < NARROW ? 16 : 32;
  node.replaceChildren(
    el(
      "h3",
      {},
      `${frame.kind} frame`,
      way,
      el("span", { className: "soft" }, `${plural(size, "byte")}: ${parts}`),
    ),
    drawBits(frame, rowBits),
    el("p", { className: "soft" }, drawnWords(frame, rowBits)),
    ...(frame.masked && frame.wire.length ? showMask(frame) : []),
    ...showPayload(frame, said),
  );
}

function drawBits(frame, rowBits) {
  const grid = el("div", { className: "bits", role: "img", aria: { label: inWords(frame) } });
  grid.style.gridTemplateColumns = `repeat(${rowBits}, minmax(0, 1fr))`;
  for (let bit = 0; bit < rowBits; bit++)
    grid.append(el("span", { className: "bit-number" }, `${bit}`));
  for (const field of frame.fields) {
    for (const piece of cut(field, rowBits)) {
      if (piece.row < rowsOf(rowBits)) grid.append(drawPiece(field, piece, frame));
    }
  }
  return grid;
}

const rowsOf = rowBits => (ROWS * 32) / rowBits;

/** Yield a field's parts, one a row; of a payload, one a byte. */
function* cut({ start, bits, name }, rowBits) {
  const step = name.endsWith("payload") ? 8 : rowBits;
  for (let from = start; from < start + bits;) {
    const row = Math.floor(from / rowBits);
    const to = Math.min(start + bits, (row + 1) * rowBits, from + step);
    yield {
      row,
      left: from - row * rowBits,
      width: to - from,
      first: from === start,
      byte: (from - start) / 8,
    };
    from = to;
  }
}

function drawPiece(field, { row, left, width, first, byte }, frame) {
  const cell = el("div", {
    className: width === 1 ? "cell one" : "cell",
    data: { tint: field.tint },
  });
  cell.style.gridColumn = `${left + 1} / span ${width}`;
  cell.style.gridRow = `${row + 2}`;
  const lines = field.name.endsWith("payload")
    ? payloadLines(byte, frame)
    : typeof field.value === "number"
      ? numberLines(field, first)
      : [
          first ? field.name : "continued",
          hex(field.value.subarray(byte, byte + width / 8)).join(" "),
          "",
        ];
  const classes = ["what", "value", "means"];
  cell.append(
    ...lines
      .map((text, index) => text && el("span", { className: classes[index] }, text))
      .filter(Boolean),
  );
  return cell;
}

function numberLines({ name, value, bits, means }, first) {
  if (!first) return ["continued", "", ""];
  const shown = bits === 4 ? `0x${value.toString(16)}` : value.toLocaleString("en");
  return [name, shown, bits === 1 ? "" : means];
}

function payloadLines(byte, { wire, payload, masked, opcode, rsv1 }) {
  const char = printable(payload[byte]);
  const isText = opcode === 1 && !rsv1;
  const shown = isText ? `${masked ? "is " : ""}${char}` : "";
  return [byte === 0 ? (masked ? "masked" : "payload") : "", hex([wire[byte]])[0], shown];
}

const printable = byte =>
  byte > 32 && byte < 127 ? String.fromCharCode(byte) : byte === 32 ? "␣" : "·";

function drawnWords({ size, wire, header, missing }, rowBits) {
  const drawn = Math.min((rowsOf(rowBits) * rowBits) / 8, wire.length + header);
  const words = [`A row is ${plural(rowBits / 8, "byte")}.`];
  if (size > drawn) words.push(`${plural(size - drawn, "more byte")} not drawn.`);
  if (missing) words.push(`The server keeps the first ${wire.length + header} of a frame.`);
  return words.join(" ");
}

function inWords(frame) {
  return frame.fields
    .map(({ name, value }) =>
      typeof value === "number"
        ? `${name} ${value}`
        : `${name} ${hex(value.slice(0, 8)).join(" ")}`,
    )
    .join(", ");
}

/** Show how wire, key and payload hang together, byte below byte. */
function showMask({ key, wire, payload, opcode }) {
  const bytes = [...wire.slice(0, SHOWN)];
  const row = (title, name, texts) =>
    el(
      "tr",
      { className: name },
      el("th", { scope: "row" }, title),
      ...texts.map(text => el("td", {}, text)),
    );
  const rows = [
    row("on the wire", "masked", hex(bytes)),
    row("XOR key", "key", hex(bytes.map((_, index) => key[index % 4]))),
    row("payload", "plain", hex(payload.slice(0, SHOWN))),
  ];
  if (opcode === 1) rows.push(row("", "plain", [...payload.slice(0, SHOWN)].map(printable)));
  const more = wire.length > SHOWN ? `, the first ${SHOWN} of ${wire.length} bytes` : "";
  return [
    el("h4", {}, `Masked by the browser${more}`),
    el(
      "div",
      { className: "scroll", tabIndex: 0, role: "region", aria: { label: "Masking" } },
      el("table", { className: "xor" }, el("tbody", {}, ...rows)),
    ),
  ];
}

function showPayload({ length, missing, rsv1 }, said) {
  if (!length) return [el("p", { className: "soft" }, "No payload.")];
  const title = rsv1
    ? "Compressed by permessage-deflate (RFC 7692): RSV1 is set"
    : `Payload as ${said.kind}`;
  const text = said.pretty ?? said.text;
  return [
    el("h4", {}, title),
    el("pre", { className: "payload", tabIndex: 0, dir: "auto" }, missing ? `${text} …` : text),
  ];
}
