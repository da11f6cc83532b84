"use strict";
// Everything shown comes from the JSON in #data and enters the page as text, never as HTML.

const run = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const TOP = 12;

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function addRow(body, cells) {
  const row = body.insertRow();
  for (const cell of cells) {
    const td = row.insertCell();
    if (cell instanceof Node) td.append(cell);
    else td.textContent = cell;
  }
  return row;
}

const whole = (number) => Math.round(number).toLocaleString("en");

function clock(seconds) {
  const s = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

function bar(share, text) {
  const box = element("div", "", "bar");
  const filled = element("i");
  filled.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  box.append(filled, element("span", text));
  return box;
}

// ---------------------------------------------------------------- head and tables

function showHead() {
  document.title = `${run.title} · kerasw2v`;
  byId("title").textContent = run.title;
  byId("made").textContent = `· ${run.made}`;
  for (const [name, value] of run.summary) {
    const tile = element("div");
    tile.append(element("dt", name), element("dd", value));
    byId("summary").append(tile);
  }
}

function showSettings() {
  for (const [group, rows] of run.settings) {
    const block = element("div");
    const table = element("table");
    const body = table.createTBody();
    for (const row of rows) addRow(body, row);
    block.append(element("h3", group), table);
    byId("settings").append(block);
  }
}

function showEvaluation() {
  if (!run.evaluation) return;
  byId("evaluation").hidden = false;
  const body = byId("evaluation").querySelector("tbody");
  for (const [name, measure, value, text, known] of run.evaluation) {
    addRow(body, [name, measure, value === null ? text : bar(value, text), known]);
  }
}

// ---------------------------------------------------------------- nearest words

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

const words = run.words;
const size = run.dimensions;
const table = new Int8Array(bytesOf(run.vectors).buffer);
const lengths = words.map((_, i) => {
  let sum = 0;
  for (let j = i * size; j < (i + 1) * size; j++) sum += table[j] * table[j];
  return Math.sqrt(sum) || 1;
});
const places = new Map(words.map((word, i) => [word, i]));

// Splits `king - man + woman`, as `kerasw2v similar` does, into [word, sign] pairs.
function parse(query) {
  if (places.has(query)) return [[query, 1]];
  const terms = [];
  let sign = 1;
  for (const part of query.split(/\s+/).filter(Boolean)) {
    if (part === "+" || part === "-") {
      sign = part === "+" ? 1 : -1;
    } else {
      terms.push([part, sign]);
      sign = 1;
    }
  }
  return terms;
}

function nearest(terms) {
  const direction = new Float64Array(size);
  for (const [word, sign] of terms) {
    const i = places.get(word);
    for (let j = 0; j < size; j++) direction[j] += (sign * table[i * size + j]) / lengths[i];
  }
  const length = Math.hypot(...direction) || 1;
  const asked = new Set(terms.map(([word]) => word));
  const found = [];
  for (let i = 0; i < words.length; i++) {
    if (asked.has(words[i])) continue;
    let product = 0;
    for (let j = 0; j < size; j++) product += direction[j] * table[i * size + j];
    found.push([i, product / (length * lengths[i])]);
  }
  return found.sort((a, b) => b[1] - a[1]).slice(0, TOP);
}

let asked = []; // places of the words that were asked for
let close = []; // and of the nearest to them

function search(query) {
  const terms = parse(query.trim());
  const body = byId("neighbours").tBodies[0];
  const unknown = terms.filter(([word]) => !places.has(word)).map(([word]) => word);
  body.replaceChildren();
  asked = close = [];
  byId("centre").disabled = true;
  if (!terms.length) {
    byId("status").textContent = "Enter a word.";
  } else if (unknown.length) {
    const lower = unknown[0].toLowerCase();
    const hint = places.has(lower) && lower !== unknown[0] ? ` Did you mean “${lower}”?` : "";
    byId("status").textContent =
      `“${unknown[0]}” is not among the ${whole(words.length)} words of this page.${hint}`;
  } else {
    const found = nearest(terms);
    asked = terms.map(([word]) => places.get(word));
    close = found.map(([i]) => i);
    byId("centre").disabled = false;
    byId("status").textContent = `Nearest of the ${whole(words.length)} words of this page. Similarity is the cosine of two vectors, at most 1.`;
    for (const [i, cosine] of found) {
      const button = element("button", words[i]);
      button.type = "button";
      button.addEventListener("click", () => ask(words[i]));
      const count = run.counts ? whole(run.counts[i]) : "–";
      addRow(body, [button, bar(cosine, cosine.toFixed(3)), count]).cells[2].className = "number";
    }
  }
  draw();
}

function ask(word) {
  byId("query").value = word;
  search(word);
}

function suggest() {
  const begin = byId("query").value.split(/\s+/).pop().toLowerCase();
  const before = byId("query").value.slice(0, byId("query").value.length - begin.length);
  const known = begin ? words.filter((word) => word.toLowerCase().startsWith(begin)) : [];
  byId("known").replaceChildren(
    ...known.slice(0, 12).map((word) => {
      const option = element("option");
      option.value = before + word;
      return option;
    }),
  );
}

// ---------------------------------------------------------------- the map

const canvas = byId("map");
const raw = new DataView(bytesOf(run.places).buffer);
const spot = (i, axis) => raw.getInt16(6 * i + 2 * axis, true) / 32767;
const view = { scale: 1, x: 0, y: 0 }; // zoom, and the place in the middle

function toScreen(i) {
  const { clientWidth: width, clientHeight: height } = canvas;
  return [
    width / 2 + (spot(i, 0) - view.x) * view.scale * width * 0.46,
    height / 2 - (spot(i, 1) - view.y) * view.scale * height * 0.46,
  ];
}

function hue(i) {
  return 215 + 175 * ((spot(i, 2) + 1) / 2);
}

function draw() {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const [card, ink, lightness] = ["--card", "--ink", "--lightness"].map((name) =>
    style.getPropertyValue(name).trim(),
  );
  const font = getComputedStyle(document.body).fontFamily;
  const marked = new Set([...asked, ...close]);
  const seen = [];
  for (let i = 0; i < words.length; i++) {
    const [x, y] = toScreen(i);
    if (x > -50 && x < width + 50 && y > -10 && y < height + 10) seen.push([i, x, y]);
  }
  for (const [i, x, y] of seen) {
    pen.globalAlpha = marked.size && !marked.has(i) ? 0.35 : 0.7;
    pen.fillStyle = `hsl(${hue(i)} 65% ${lightness})`;
    pen.beginPath();
    pen.arc(x, y, marked.has(i) ? 4.5 : 2.2, 0, 7);
    pen.fill();
  }
  // What was asked for gets room first, then frequent words that mean something.
  const order = [...seen.filter(([i]) => marked.has(i)), ...seen.filter(([i]) => !marked.has(i))];
  const boxes = [[width - 50, 0, width, 128]]; // the buttons
  const most = Math.min(220, (width * height) / 1800); // fewer on a phone
  pen.globalAlpha = 1; // labels are to be read, marked or not
  pen.textBaseline = "middle";
  for (const [i, x, y] of order) {
    if (boxes.length > most) break;
    const isMarked = marked.has(i);
    pen.font = `${asked.includes(i) ? 700 : isMarked ? 600 : 400} ${isMarked ? 14 : 12}px ${font}`;
    const length = pen.measureText(words[i]).width;
    const left = x + 6 + length < width ? x + 6 : x - 6 - length;
    const box = [left - 2, y - 8, left + length + 2, y + 8];
    const isFree = boxes.every(
      (b) => b[2] < box[0] || b[0] > box[2] || b[3] < box[1] || b[1] > box[3],
    );
    if (!isFree && !asked.includes(i)) continue;
    boxes.push(box);
    pen.lineWidth = 3;
    pen.strokeStyle = card;
    pen.strokeText(words[i], left, y);
    pen.fillStyle = isMarked ? ink : `hsl(${hue(i)} 45% ${lightness})`;
    pen.fillText(words[i], left, y);
  }
  pen.globalAlpha = 1;
}

function wordAt(x, y) {
  let best = -1;
  let least = 14 ** 2;
  for (let i = 0; i < words.length; i++) {
    const [px, py] = toScreen(i);
    const distance = (px - x) ** 2 + (py - y) ** 2;
    if (distance < least) [best, least] = [i, distance];
  }
  return best;
}

function hover(event) {
  const i = wordAt(event.offsetX, event.offsetY);
  canvas.classList.toggle("over", i >= 0);
  const tip = byId("tip");
  tip.hidden = i < 0;
  if (i < 0) return;
  tip.textContent = run.counts ? `${words[i]} · ${whole(run.counts[i])}` : words[i];
  const [x, y] = toScreen(i);
  tip.style.left = `${Math.max(0, Math.min(x + 10, canvas.clientWidth - tip.offsetWidth))}px`;
  tip.style.top = `${Math.max(0, y - tip.offsetHeight - 8)}px`;
}

// Zooms so that the place under (x, y) stays there.
function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = Math.max(1, Math.min(60, view.scale * factor));
  const change = (1 / view.scale - 1 / scale) / 0.46;
  view.x += ((x - width / 2) / width) * change;
  view.y -= ((y - height / 2) / height) * change;
  view.scale = scale;
  if (scale === 1) view.x = view.y = 0;
  byId("tip").hidden = true;
  draw();
}

function pan(right, down) {
  view.x -= right / (view.scale * canvas.clientWidth * 0.46);
  view.y += down / (view.scale * canvas.clientHeight * 0.46);
  draw();
}

function home() {
  Object.assign(view, { scale: 1, x: 0, y: 0 });
  draw();
}

function centre() {
  if (!asked.length) return;
  Object.assign(view, { scale: Math.max(5, view.scale), x: spot(asked[0], 0), y: spot(asked[0], 1) });
  draw();
}

function listenToMap() {
  const fingers = new Map(); // pointers that are down, and where
  let moved = 0;
  const span = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return hover(event);
    const now = [event.offsetX, event.offsetY];
    const wide = fingers.size === 2 ? span() : 0;
    fingers.set(event.pointerId, now);
    moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
    if (wide) zoom(span() / wide, ...now);
    else if (moved > 4) pan(now[0] - before[0], now[1] - before[1]);
  });
  const release = (event) => {
    const clicked = fingers.delete(event.pointerId) && !fingers.size && moved <= 4;
    const i = clicked && event.type === "pointerup" ? wordAt(event.offsetX, event.offsetY) : -1;
    if (i >= 0) ask(words[i]);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => (byId("tip").hidden = true));
  canvas.addEventListener(
    "wheel",
    (event) => {
      // A page that scrolls past must not get stuck in the map.
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
    },
    { passive: false },
  );
  const keys = {
    "+": () => zoom(1.5),
    "=": () => zoom(1.5),
    "-": () => zoom(1 / 1.5),
    0: home,
    ArrowLeft: () => pan(40, 0),
    ArrowRight: () => pan(-40, 0),
    ArrowUp: () => pan(0, 40),
    ArrowDown: () => pan(0, -40),
  };
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  byId("zoom-in").addEventListener("click", () => zoom(1.5));
  byId("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  byId("zoom-home").addEventListener("click", home);
  byId("centre").addEventListener("click", centre);
}

function showMap() {
  const shown = `${Math.round(100 * (run.shares[0] + run.shares[1]))} %`;
  canvas.setAttribute(
    "aria-label",
    `Map of ${whole(words.length)} words. Words that are used alike are mostly close together.`,
  );
  byId("map-help").textContent =
    `${whole(words.length)} frequent words: those that are used alike are mostly close together. A flat map ` +
    `shows only a part of how the vectors differ, here ${shown} of their variance by the first two ` +
    "principal components; the colour is the third. Drag to move; " +
    "zoom with the buttons, two fingers, or + and − and the wheel after a click on the map; " +
    "click a word for its neighbours.";
  listenToMap();
}

// ---------------------------------------------------------------- charts

function svg(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  made.textContent = text;
  return made;
}

function ticks(low, high, number) {
  const rough = (high - low) / number || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((s) => s >= rough);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) found.push(n * step);
  return found;
}

const short = (n) =>
  Math.abs(n) >= 1e6 ? `${+(n / 1e6).toFixed(2)}M` : Math.abs(n) >= 1e4 ? `${+(n / 1e3).toFixed(1)}k` : `${+n.toFixed(4)}`;

// Draws `points` of {x, y, text}; the text of the one under the pointer is shown above.
function chart(box, points, name, fromZero) {
  const width = box.clientWidth;
  const height = box.clientHeight;
  const [left, right, top, bottom] = [46, width - 10, 26, height - 36];
  const xs = points.map((p) => p.x);
  const ys = points.map((p) => p.y);
  const [x0, x1] = [Math.floor(Math.min(...xs) - 1e-9), Math.max(...xs)];
  const low = fromZero ? 0 : Math.min(...ys);
  const high = Math.max(...ys);
  const slack = (high - low) * 0.06 || Math.abs(high) * 0.06 || 1;
  const [y0, y1] = [fromZero ? 0 : low - slack, high + slack];
  const across = (x) => left + ((x - Math.max(0, x0)) / (x1 - Math.max(0, x0) || 1)) * (right - left);
  const up = (y) => bottom - ((y - y0) / (y1 - y0)) * (bottom - top);
  const last = points[points.length - 1];
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `${name} by epochs: ${points[0].text} at first, ${last.text} at last.`,
  });
  for (const y of ticks(y0, y1, 4)) {
    picture.append(svg("line", { x1: left, x2: right, y1: up(y), y2: up(y), class: "grid" }));
    picture.append(svg("text", { x: left - 6, y: up(y) + 4, "text-anchor": "end" }, short(y)));
  }
  for (const x of ticks(Math.max(0, x0), x1, Math.min(10, Math.max(2, width / 70)))) {
    picture.append(svg("text", { x: across(x), y: bottom + 17, "text-anchor": "middle" }, short(x)));
  }
  const middle = (left + right) / 2;
  picture.append(svg("text", { x: middle, y: height - 3, "text-anchor": "middle" }, "passes through the corpus (epochs)"));
  const path = points.map((p, i) => `${i ? "L" : "M"}${across(p.x).toFixed(1)} ${up(p.y).toFixed(1)}`);
  picture.append(svg("path", { d: path.join(""), class: "curve" }));
  const mark = svg("circle", { r: 5, class: "mark" });
  const said = svg("text", { x: right, y: 14, "text-anchor": "end", class: "said" });
  picture.append(mark, said);
  const point = (p) => {
    mark.setAttribute("cx", across(p.x));
    mark.setAttribute("cy", up(p.y));
    said.textContent = p.text;
  };
  point(last);
  picture.addEventListener("pointermove", (event) => {
    const x = event.clientX - picture.getBoundingClientRect().left;
    point(points.reduce((a, b) => (Math.abs(across(b.x) - x) < Math.abs(across(a.x) - x) ? b : a)));
  });
  picture.addEventListener("pointerleave", () => point(last));
  box.replaceChildren(picture);
}

function showCharts() {
  if (!run.history) return;
  byId("training").hidden = false;
  const told = (epoch, seconds, what) => `${what}, epoch ${+epoch.toFixed(2)}, ${clock(seconds)}`;
  const { points, epochs } = run.history;
  const losses = [];
  const speeds = [];
  for (const [epoch, seconds, loss] of points) {
    if (loss !== null) losses.push({ x: epoch, y: loss, text: told(epoch, seconds, loss.toFixed(4)) });
  }
  // Fractions of a second are noise: where there are enough epochs, theirs are shown.
  for (const [epoch, seconds, , speed] of epochs.length < 20 ? points : epochs) {
    if (speed !== null) {
      speeds.push({ x: epoch, y: speed, text: told(epoch, seconds, `${whole(speed)} words/s`) });
    }
  }
  const none = () => element("p", "Too short a run to measure.", "note");
  if (losses.length) chart(byId("loss"), losses, "Loss", false);
  else byId("loss").replaceChildren(none());
  if (speeds.length) chart(byId("speed"), speeds, "Words per second", true);
  else byId("speed").replaceChildren(none());
}

function showEpochs() {
  if (!run.history) return;
  byId("history-note").textContent = run.history.note;
  const body = byId("epochs").tBodies[0];
  for (const [epoch, seconds, loss, speed] of run.history.epochs) {
    const cells = [whole(epoch), loss === null ? "–" : loss.toFixed(4), speed === null ? "–" : whole(speed), clock(seconds)];
    for (const cell of addRow(body, cells).cells) cell.className = "number";
  }
}

// ---------------------------------------------------------------- start

showHead();
showSettings();
showEvaluation();
showEpochs();
showMap();
byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search(byId("query").value);
});
byId("query").addEventListener("input", suggest);
const redraw = () => {
  draw();
  showCharts();
};
new ResizeObserver(redraw).observe(byId("frame"));
dark.addEventListener("change", redraw);
showCharts();
ask(run.query);
