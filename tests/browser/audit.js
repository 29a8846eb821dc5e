// Returns what is wrong with the page, a line each; audit.py says by which rules.
() => {
  const faults = [];
  const visible = node => node.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const where = node => node.outerHTML.replace(/\s+/g, " ").slice(0, 90);

  // A colour, painted on a canvas, so that every notation ends as four numbers.
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
    .getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = colour => {
    if (!known.has(colour)) known.set(colour, paint(colour));
    return known.get(colour);
  };
  const paint = colour => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((one, i) => one * a + below[i] * (1 - a));
  const ground = node => {
    const layers = [];
    for (let each = node; each; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor);
      if (colour[3]) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const luminance = rgb => {
    const linear = part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.map(value => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const legible = (node, colour) => {
    const style = getComputedStyle(node);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const behind = ground(node);
    const ratio = contrast(over(rgba(colour ?? style.color), behind), behind);
    if (ratio < (large ? 3 : 4.5)) faults.push(`contrast ${ratio.toFixed(2)}: ${where(node)}`);
  };

  let texts = 0;
  for (const node of document.querySelectorAll("body *")) {
    if (!visible(node) || node.closest(".only-spoken")) continue;
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (own && !node.closest(":disabled")) {
      texts += 1;
      legible(node);
    }
    if (node.placeholder) legible(node, getComputedStyle(node, "::placeholder").color);
  }
  if (texts < 5) faults.push(`only ${texts} texts found: the audit is blind`);

  const text = id => document.getElementById(id)?.textContent ?? "";
  const name = node => {
    const labels = [...(node.labels ?? [])].map(label => label.textContent).join(" ");
    const others = (node.getAttribute("aria-labelledby") ?? "").split(" ").map(text).join(" ");
    const own = node.matches("button, a") ? node.textContent : "";
    return [node.getAttribute("aria-label") ?? "", others, labels, own].join(" ").trim();
  };
  const CONTROLS = "button, input, textarea, a, [role=listbox], [role=log], [role=region]";
  for (const node of document.querySelectorAll(CONTROLS)) {
    if (visible(node) && !name(node)) faults.push(`no name: ${where(node)}`);
  }
  for (const image of document.querySelectorAll("img:not([alt]), svg:not([aria-hidden])")) {
    faults.push(`no alt: ${where(image)}`);
  }
  for (const child of document.querySelectorAll("[role=listbox] > :not([role=option])")) {
    faults.push(`no option: ${where(child)}`);
  }

  const ids = [...document.querySelectorAll("[id]")].map(node => node.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`id twice: ${id}`);
  for (const attribute of ["aria-controls", "aria-describedby", "aria-labelledby", "for"]) {
    for (const node of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of node.getAttribute(attribute).split(" ")) {
        if (!ids.includes(id)) faults.push(`${attribute} names nothing: ${id}`);
      }
    }
  }

  if (!document.documentElement.lang) faults.push("no language");
  for (const tag of ["main", "h1"]) {
    const count = [...document.querySelectorAll(tag)].filter(visible).length;
    if (count !== 1) faults.push(`${count} of ${tag}, expected one`);
  }
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) faults.push(`${wide} px wider than the window`);
  for (const node of document.querySelectorAll("button, input, textarea")) {
    if (!visible(node)) continue;
    const box = node.getBoundingClientRect();
    if (box.width < 24 || box.height < 24) faults.push(`smaller than 24 px: ${where(node)}`);
    const out = box.left < -1 || box.right > innerWidth + 1;
    if (out && !node.closest(".scroll, nav")) faults.push(`outside the window: ${where(node)}`);
  }
  return faults;
}
