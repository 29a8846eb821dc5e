// The HTTP side: who am I, sign in, sign out, one ticket for one socket.

const PATIENCE = 10000; // ms: a network that swallows everything never says no

/** A request failed. status: of the answer, 0 where none came; the message is for a person. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, { method = "GET", body } = {}) {
  const options = { method, signal: AbortSignal.timeout(PATIENCE), headers: {}, cache: "no-store" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["content-type"] = "application/json";
  }
  let response, answer;
  try {
    response = await fetch(path, options);
    answer = response.status === 204 ? null : await response.json();
  } catch {
    throw new ApiError(response?.status ?? 0, "The server does not answer. Is it running?");
  }
  if (!response.ok)
    throw new ApiError(response.status, answer?.detail ?? `The server says ${response.status}.`);
  return answer;
}

export const whoAmI = () => ask("/api/me");
export const people = () => ask("/api/people");
export const signIn = (name, password) =>
  ask("/api/sign-in", { method: "POST", body: { name, password } });
export const signOut = () => ask("/api/sign-out", { method: "POST" });
export const ticket = async () => (await ask("/api/tickets", { method: "POST" })).ticket;

/** Return the address of a socket; the ticket in it opens one, once. */
export function socketAddress(name, values) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}/ws/${name}?${new URLSearchParams(values)}`;
}
