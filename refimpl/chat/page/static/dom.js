// Elements without markup: text from people is only ever text, so nothing in it can become code.

/** Return a new element. props: properties, `data` and `aria` as objects, `on` as listeners. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "data") Object.assign(node.dataset, value);
    else if (name === "aria")
      for (const [key, text] of Object.entries(value)) node.setAttribute(`aria-${key}`, text);
    else if (name === "on")
      for (const [key, call] of Object.entries(value)) node.addEventListener(key, call);
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

export const part = id => document.getElementById(id);

/** Show text in an element, and the element only where there is text. */
export function tell(node, text) {
  node.textContent = text;
  node.hidden = !text;
}

export const plural = (count, word) =>
  `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
