// Two nodes, one store, one room. Ada is connected to node A, Ben to node B.
// Four rules of chapter 10 are here in a line or two each: numbers, a stream of the last messages, a
// lease that outlives its node for a while, and a client that asks for what it missed.
(() => {
  const KEPT = 4; // messages that the stream keeps
  const LEASE = 3; // seconds for which a dead node still counts as present
  const COLOURS = { up: "currentColor", cut: "#D55E00" };

  class Cluster extends HTMLElement {
    connectedCallback() {
      if (this.shadowRoot) return;
      const picture = this.querySelector("svg").outerHTML;
      this.attachShadow({ mode: "open" }).innerHTML = `
        <style>
          :host { display: block; font: 14px/1.5 system-ui, sans-serif; color: inherit; }
          button, label { margin: 0 .6em .4em 0; font: inherit; }
          button { padding: .25em .7em; }
          .seen { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1.5em; max-width: 640px; }
          h4 { margin: .3em 0 0; }
          ol { margin: 0; padding: 0; list-style: none; min-height: 7.5em; }
          .bad { color: #D55E00; font-weight: bold; }
          .good { color: #009E73; font-weight: bold; }
        </style>
        ${picture}
        <div>
          <button name="say">Ada says something</button>
          <button name="cut">Cut node B from the store</button>
          <button name="kill">Kill node B</button>
          <button name="wait">A second passes</button>
          <button name="reset">Begin again</button>
          <label><input type="checkbox" name="numbers"> numbers and a stream</label>
        </div>
        <p role="status" aria-live="polite"></p>
        <div class="seen">
          <div><h4>Ada sees</h4><ol data-seen="ada"></ol></div>
          <div><h4>Ben sees</h4><ol data-seen="ben"></ol></div>
        </div>`;
      this.control = (name) => this.shadowRoot.querySelector(`[name=${name}]`);
      for (const name of ["say", "cut", "kill", "wait", "reset"]) {
        this.control(name).addEventListener("click", () => this.act(name));
      }
      this.control("numbers").addEventListener("change", () => this.act("reset"));
      this.act("reset");
    }

    act(name) {
      this.said = "";
      this[name]();
      this.draw();
    }

    reset() {
      this.number = 0;
      this.stream = []; // the store's last messages: pub/sub alone keeps none
      this.cutOff = this.dead = false;
      this.lease = LEASE;
      this.heard = 0; // the last number that Ben was given
      this.seen = { ada: [], ben: [] };
      this.said = "Send some messages, then cut node B off and send some more.";
    }

    get numbered() { return this.control("numbers").checked; }
    get reachesBen() { return !this.cutOff && !this.dead; }

    say() {
      this.number += 1;
      this.stream = [...this.stream, this.number].slice(-KEPT);
      this.seen.ada.push({ text: `message ${this.number}` });
      if (this.reachesBen) this.deliver(this.number);
      else this.said = `Message ${this.number} went out while nobody listened on node B.`;
    }

    deliver(number) {
      if (this.numbered && number > this.heard + 1) this.fill(number - 1);
      this.seen.ben.push({ text: `message ${number}` });
      this.heard = number;
    }

    // What a node does that notices a gap, and what a client is told that comes back.
    fill(last) {
      const kept = this.stream.filter((number) => number > this.heard && number <= last);
      const lost = last - this.heard - kept.length;
      if (lost > 0) this.seen.ben.push({ text: `resync: ${lost} missing`, kind: "bad" });
      for (const number of kept) {
        this.seen.ben.push({ text: `message ${number}, from the stream`, kind: "good" });
      }
      this.heard = last;
      this.said = lost > 0
        ? `The stream keeps ${KEPT} messages. ${lost} are gone, and Ben is told so.`
        : `${kept.length} missed: the stream still had them.`;
    }

    cut() {
      this.cutOff = !this.cutOff;
      if (this.cutOff) {
        this.said = "Node B lives and Ben stays connected. It hears nothing from the store.";
      } else if (!this.dead) {
        this.comeBack();
        this.catchUp("Node B reaches the store again.");
      }
    }

    // A node that the store called dead begins a new life, and its people come in again.
    comeBack() {
      if (this.cutOff) return;
      if (this.lease === 0) this.seen.ada.push({ text: "Ben came" });
      this.lease = LEASE;
    }

    kill() {
      this.dead = !this.dead;
      if (!this.dead) this.comeBack();
      if (this.dead) this.said = "Ben's connection broke. The store does not know that yet.";
      else if (!this.cutOff) this.catchUp("Node B is back and Ben has connected again.");
      else this.said = "Node B is back, but cannot reach the store.";
    }

    // Heads are compared: without that a lost last message would stay unnoticed.
    catchUp(words) {
      if (this.heard === this.number) this.said = words;
      else if (this.numbered) this.fill(this.number);
      else this.said = `${words} Missed: ${this.number - this.heard}. Nobody knows.`;
    }

    wait() {
      if (this.reachesBen) {
        this.lease = LEASE;
        this.said = "Node B renews its lease.";
      } else if (this.lease > 1) {
        this.lease -= 1;
        this.said = `Node B's lease ends in ${this.lease} s. Until then Ben counts as present.`;
      } else if (this.lease === 1) {
        this.lease = 0;
        this.said = "The lease is over: Ada is told once that Ben left.";
        this.seen.ada.push({ text: "Ben left" });
      } else this.said = "The lease was over before. Ada is not told again.";
    }

    draw() {
      const root = this.shadowRoot;
      const colour = (selector, up) => {
        const shape = root.querySelector(selector);
        shape.setAttribute("stroke", up ? COLOURS.up : COLOURS.cut);
        shape.setAttribute("stroke-dasharray", up ? "none" : "5 5"); // a second cue beside colour
      };
      colour("[data-link=b]", this.reachesBen);
      colour("[data-link=ben]", !this.dead);
      colour("[data-node=b]", !this.dead);
      this.control("cut").textContent = this.cutOff ? "Heal the link" : "Cut node B from the store";
      this.control("kill").textContent = this.dead ? "Start node B again" : "Kill node B";
      root.querySelector("[role=status]").textContent = this.said;
      for (const who of ["ada", "ben"]) {
        const items = this.seen[who].slice(-5).map(({ text, kind }) => {
          const item = document.createElement("li");
          item.textContent = text;
          item.className = kind || "";
          return item;
        });
        root.querySelector(`[data-seen=${who}]`).replaceChildren(...items);
      }
    }
  }

  if (!customElements.get("refimpl-cluster")) customElements.define("refimpl-cluster", Cluster);
})();
