// The sign-in page, with the demo's open secrets.

import { ApiError, people, signIn, whoAmI } from "./api.js";
import { el, part, tell } from "./dom.js";

const NO_COOKIE =
  "This browser does not keep the session: it takes secure cookies over https only. " +
  "Use Chromium or Firefox at http://127.0.0.1, or start the demo with --ssl.";

export class SignIn {
  #done;

  /** done: called with the user who signed in. */
  constructor(done) {
    this.#done = done;
    part("sign-in-form").addEventListener("submit", event => {
      event.preventDefault();
      this.#submit();
    });
  }

  show(problem = "") {
    part("chat").hidden = true;
    part("sign-in").hidden = false;
    document.title = "Sign in - refimpl chat";
    tell(part("sign-in-problem"), problem);
    part("password").value = "";
    part(part("name").value ? "password" : "name").focus();
    this.#listPeople();
  }

  hide() {
    part("sign-in").hidden = true;
  }

  async #submit() {
    const name = part("name"),
      password = part("password");
    const missing = [name, password].find(input => !input.value);
    if (missing) return this.#refuse(`Enter a ${missing.id}.`, missing);
    const button = part("sign-in-form").querySelector("button");
    button.disabled = true;
    tell(part("sign-in-problem"), "");
    try {
      await signIn(name.value, password.value);
      const { user } = await whoAmI();
      if (!user) return this.#refuse(NO_COOKIE, name);
      this.hide();
      this.#done(user);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#refuse(error.message, password);
      password.select();
    } finally {
      button.disabled = false;
    }
  }

  #refuse(problem, input) {
    tell(part("sign-in-problem"), problem);
    input.focus();
  }

  async #listPeople() {
    const listed = await people().catch(() => ({ people: [] }));
    part("demo-people").hidden = listed.people.length === 0;
    part("demo-people")
      .querySelector("tbody")
      .replaceChildren(
        ...listed.people.map(({ name, password }) => {
          const use = el(
            "button",
            {
              type: "button",
              aria: { label: `Fill in ${name}` },
              on: {
                click: () => {
                  part("name").value = name;
                  part("password").value = password;
                  part("sign-in-form").querySelector("button").focus();
                },
              },
            },
            "Fill in",
          );
          return el(
            "tr",
            {},
            el("th", { scope: "row" }, name),
            el("td", {}, el("code", {}, password)),
            el("td", {}, use),
          );
        }),
      );
  }
}
