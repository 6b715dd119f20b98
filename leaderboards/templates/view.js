// View state, kept in the address so that every view has a link and the back button works; creation of elements.

const data = JSON.parse(document.getElementById("data").textContent);
const tracks = new Map(data.tracks.map((track) => [track.name, track]));
const still = matchMedia("(prefers-reduced-motion: reduce)");
const NOTHING = { track: "all", all: "", sort: "place", dir: "", q: "", kind: "", feasible: "", entry: "", vs: "" };
let view = { ...NOTHING };

function readView(hash) {
  if (hash.length > 1 && !hash.includes("=")) return view; // an anchor, such as that of the skip link
  const given = Object.fromEntries(new URLSearchParams(hash.slice(1)));
  const read = Object.fromEntries(Object.keys(NOTHING).map((key) => [key, given[key] ?? NOTHING[key]]));
  if (!tracks.has(read.track)) read.track = "all";
  if (!document.querySelector(`thead th[data-key="${CSS.escape(read.sort)}"]`)) read.sort = "place";
  return read;
}

function linkTo(change) {
  const parts = Object.entries({ ...view, ...change }).filter(([key, value]) => value !== NOTHING[key]);
  return "#" + new URLSearchParams(parts.length ? parts : [["track", "all"]]);
}

function go(change, replace = false) {
  const link = linkTo(change);
  view = { ...view, ...change };
  if (replace) history.replaceState(history.state, "", link);
  else if (link !== location.hash) history.pushState({ inside: true }, "", link);
  show();
}

function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

function written(value, digits = 4) {
  return value == null ? "–" : value.toPrecision(digits).replace("-", "−");
}
