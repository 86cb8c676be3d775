// Paints the pictures of the place that is pointed at. Given by Gradio: element, props, watch.
// A value is {version, axis, start, frames: [{place, title, cards}], legend, notes}.
const root = element.querySelector(".sweep-pictures");
const [chooser, legend, list, notes] = root.children;
const [caption, slider] = chooser.children;
const cards = new Map(); // id -> elements of a card
let data = null, chosen = null; // the place pointed at; null follows the start

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Pointing along the axis shows the same picture again and again.
function repaint(canvas, { pixels, width, height, alt }) {
  if (alt) canvas.setAttribute("aria-label", alt);
  if (canvas.encoded === pixels) return;
  canvas.encoded = pixels;
  paint(canvas, pixels, width, height);
}

function createCard(id, count) {
  const card = { root: make("li", "card sweep-card"), count };
  card.root.dataset.method = id;
  card.label = make("h3", "card-label", card.root);
  const row = make("div", "sweep-row", card.root);
  card.pictures = Array.from({ length: count }, () => {
    const frame = make("figure", "", row);
    const canvas = make("canvas", "card-picture", frame);
    canvas.setAttribute("role", "img");
    return { canvas, title: make("figcaption", "", frame) };
  });
  card.flag = make("p", "card-flag", card.root);
  card.lines = make("p", "sweep-lines", card.root);
  return card;
}

function writeCard(data) {
  let card = cards.get(data.id);
  if (!card || card.count !== data.pictures.length) {
    if (card) card.root.remove();
    cards.set(data.id, (card = createCard(data.id, data.pictures.length)));
  }
  setText(card.label, data.label);
  setText(card.flag, data.flag || "");
  card.flag.hidden = !data.flag;
  if (card.written !== data.lines.join("\n")) {
    card.written = data.lines.join("\n");
    card.lines.replaceChildren(...data.lines.map((text) => make("span", "", null, text)));
  }
  data.pictures.forEach((picture, i) => {
    repaint(card.pictures[i].canvas, picture);
    setText(card.pictures[i].title, picture.title);
    card.pictures[i].title.hidden = !picture.title;
  });
  return card.root;
}

// The frame nearest to a place.
function nearest(place) {
  let best = 0;
  data.frames.forEach((frame, i) => {
    if (Math.abs(frame.place - place) < Math.abs(data.frames[best].place - place)) best = i;
  });
  return best;
}

function draw() {
  const frame = data && data.frames.length ? data.frames[nearest(chosen === null ? data.start : chosen)] : null;
  root.hidden = !frame;
  pointer(frame && data.frames.length > 1 ? frame.place : null);
  if (!frame) return;
  const index = data.frames.indexOf(frame);
  chooser.hidden = data.frames.length < 2;
  slider.max = data.frames.length - 1;
  slider.value = index;
  const text = `${data.axis}: ${frame.title}`;
  setText(caption, text);
  slider.setAttribute("aria-label", "Place on the axis");
  slider.setAttribute("aria-valuetext", text);
  root.dataset.place = frame.place;
  root.dataset.frames = data.frames.length;
  list.dataset.pictures = frame.cards[frame.cards.length - 1].pictures.length;
  const wanted = frame.cards.map(writeCard);
  cards.forEach((card, id) => {
    if (!wanted.includes(card.root)) { card.root.remove(); cards.delete(id); }
  });
  wanted.forEach((node, i) => { if (list.children[i] !== node) list.insertBefore(node, list.children[i] || null); });
}

function choose(place) {
  if (!data || !data.frames.length) return;
  chosen = data.frames[nearest(place)].place;
  draw();
}

slider.addEventListener("input", () => choose(data.frames[slider.value].place));

// The chart is made anew with every change, so it is looked for again every time.
const chart = () => document.querySelector("#sweep-chart .js-plotly-plot");

function pointer(place) {
  const plot = chart();
  if (!plot) return;
  let line = plot.querySelector(".sweep-pointer");
  const layout = plot._fullLayout;
  const axis = layout && layout.xaxis, frame = layout && layout.yaxis;
  // Plotly has no public way to ask where a value lies; without this one, there is just no line. Nor is there
  // where the horizontal axis is not the sweep's.
  if (place === null || !axis || !axis.d2p || !frame || layout.meta === "path") {
    if (line) line.remove();
    return;
  }
  if (!line) line = make("div", "sweep-pointer", plot);
  Object.assign(line.style, {
    left: `${axis._offset + axis.d2p(place)}px`,
    top: `${frame._offset}px`,
    height: `${frame._length}px`,
  });
}

function follow() {
  const plot = chart();
  if (!plot || !plot.on || plot.followed || !plot._fullLayout) return;
  plot.followed = true;
  const point = (event) => {
    const places = event.points.map(({ x, customdata }) => customdata ?? x);
    const found = places.find((place) => typeof place === "number");
    if (found !== undefined && data && data.frames.length > 1) choose(found);
  };
  plot.on("plotly_hover", point);
  plot.on("plotly_click", point);
  plot.on("plotly_afterplot", () => draw());
  draw();
}

function receive() {
  const value = props.value;
  if (!value || !value.version || (data && value.version < data.version)) return;
  if (!data || value.axis !== data.axis || value.start !== data.start) chosen = null;
  data = value;
  root.dataset.version = data.version;
  legend.replaceChildren(...data.legend.map(({ text, low, high, picture }) => {
    const item = make("li");
    make("span", "", item, text);
    make("i", "", item, low);
    repaint(make("canvas", "", item), picture);
    make("i", "", item, high);
    return item;
  }));
  legend.hidden = !data.legend.length;
  notes.replaceChildren(...data.notes.map((text) => make("p", "", null, text)));
  draw();
}

const tab = document.querySelector("#sweep");
if (tab) new MutationObserver(follow).observe(tab, { childList: true, subtree: true });
follow();
watch("value", receive);
receive();
