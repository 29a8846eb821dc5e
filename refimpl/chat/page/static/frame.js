// A WebSocket frame taken apart, bit field by bit field (RFC 6455 section 5.2).

import { plural } from "./dom.js";

export const OPCODES = {
  0: "CONTINUATION",
  1: "TEXT",
  2: "BINARY",
  8: "CLOSE",
  9: "PING",
  10: "PONG",
};

export const CLOSE_CODES = {
  1000: "normal closure",
  1001: "going away",
  1002: "protocol error",
  1003: "unsupported data",
  1005: "no code in the frame",
  1006: "lost without a Close frame",
  1007: "invalid payload",
  1008: "policy violation",
  1009: "message too big",
  1010: "extension missing",
  1011: "internal error",
  1012: "service restart",
  1013: "try again later",
  4000: "given up by the page",
  4401: "session over",
};

const FORMS = { 126: "16-bit", 127: "64-bit" };
const BEGINNING = /^\{"type":"(\w+)","room":"([\w-]+)".*$/s;
const utf8 = new TextDecoder();

export const hex = bytes => Array.from(bytes, byte => byte.toString(16).padStart(2, "0"));

/**
 * Return a frame in pieces. bytes: its beginning, at least its header; size: of the whole frame.
 * fields: name, first bit, number of bits, value and meaning, in order, without gaps.
 */
export function dissect(bytes, size = bytes.length) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields = [];
  const add = (name, bits, value, means, tint) => {
    const last = fields.at(-1);
    fields.push({ name, start: last ? last.start + last.bits : 0, bits, value, means, tint });
    return value;
  };
  const [first, second] = bytes;
  const fin = add("FIN", 1, first >> 7, first >> 7 ? "last of its message" : "more follow", "fin");
  const rsv1 = add("RSV1", 1, (first >> 6) & 1, "", "rsv");
  add("RSV2", 1, (first >> 5) & 1, "", "rsv");
  add("RSV3", 1, (first >> 4) & 1, "", "rsv");
  const kind = OPCODES[first & 15] ?? "reserved";
  const opcode = add("opcode", 4, first & 15, kind, "opcode");
  const masked = add("MASK", 1, second >> 7, second >> 7 ? "a key follows" : "no key", "mask");
  let length = add(
    "payload length",
    7,
    second & 127,
    FORMS[second & 127] ? "see the next field" : "",
    "length",
  );
  const form = FORMS[length] ?? "7-bit";
  let at = 2;
  if (length === 126) {
    length = add("extended length", 16, view.getUint16(at), "", "length");
    at += 2;
  } else if (length === 127) {
    length = add("extended length", 64, Number(view.getBigUint64(at)), "", "length");
    at += 8;
  }
  const key = masked ? bytes.subarray(at, at + 4) : null;
  if (masked) {
    add("masking key", 32, key, "random", "mask");
    at += 4;
  }
  const wire = bytes.subarray(at);
  const payload = masked ? wire.map((byte, index) => byte ^ key[index % 4]) : wire;
  if (wire.length)
    add(
      masked ? "masked payload" : "payload",
      wire.length * 8,
      wire,
      "",
      masked ? "masked" : "payload",
    );
  const missing = size - bytes.length;
  return {
    fin,
    rsv1,
    opcode,
    kind,
    masked,
    form,
    length,
    key,
    header: at,
    wire,
    payload,
    missing,
    size,
    fields,
  };
}

/** Return what the payload says: text, the code and reason of a Close, or bytes as hex. */
export function meaning({ opcode, rsv1, payload, missing }) {
  if (rsv1) return { kind: "compressed", text: hex(payload).join(" ") };
  if (opcode === 8) return closing(payload);
  if (opcode !== 1) return { kind: "bytes", text: hex(payload).join(" ") };
  const text = utf8.decode(payload);
  if (missing) return { kind: "text", text };
  try {
    const value = JSON.parse(text);
    return { kind: "JSON", text, value, pretty: JSON.stringify(value, null, 2) };
  } catch {
    return { kind: "text", text };
  }
}

function closing(payload) {
  if (payload.length < 2) return { kind: "close", code: 1005, text: "no code" };
  const code = (payload[0] << 8) | payload[1];
  const reason = utf8.decode(payload.subarray(2));
  const name = CLOSE_CODES[code] ?? (code >= 4000 ? "of this application" : "");
  return {
    kind: "close",
    code,
    text: [`${code}`, name, reason && `"${reason}"`].filter(Boolean).join(" "),
  };
}

/** Return a payload in one short line: of a message of this chat, what it is about. */
export function summary(frame) {
  const { text, value } = meaning(frame);
  if (frame.missing) return text.replace(BEGINNING, "$1 $2 ...");
  if (typeof value?.type !== "string") return text;
  const { type, room, message, messages, user, here, last, detail } = value;
  const news =
    { presence: `${user?.name} ${here ? "is here" : "left"}`, activity: `message ${last}` }[type] ??
    detail;
  const words = value.text ?? message?.text;
  const parts = [
    type,
    room,
    messages && plural(messages.length, "message"),
    news,
    words && JSON.stringify(words),
  ];
  return parts.filter(Boolean).join(" ");
}
