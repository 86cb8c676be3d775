// A face with a line across it that one draws. Given by Gradio: element, props, watch, trigger.
const NEAR = 6; // pixels of the picture within which an end is taken hold of
const POLL_MS = 1500; // while a model is being downloaded

const root = element.querySelector(".line");
const canvas = root.querySelector("canvas");
const svg = root.querySelector("svg");
const numbers = root.querySelector("tbody");
const notes = root.querySelector(".line-notes");
const status = root.querySelector(".line-status");
const [shadow, stroke] = svg.querySelectorAll("line");
const [first, last] = svg.querySelectorAll("circle");
let size = null, start = [0, 0], end = [0, 0], held = null, pollTimer = 0;

// Row and column r, c are the middle of a pixel, which is half a pixel from its corner.
function place() {
  const set = (node, names, [row, column]) => {
    node.setAttribute(names[0], column + 0.5);
    node.setAttribute(names[1], row + 0.5);
  };
  for (const node of [shadow, stroke]) {
    set(node, ["x1", "y1"], start);
    set(node, ["x2", "y2"], end);
  }
  set(first, ["cx", "cy"], start);
  set(last, ["cx", "cy"], end);
  root.dataset.line = [...start, ...end].join(" ");
}

function pixelAt(event) {
  const box = svg.getBoundingClientRect();
  const along = (at, from, length, count) =>
    Math.min(Math.max(Math.floor(((at - from) / length) * count), 0), count - 1);
  return [along(event.clientY, box.top, box.height, size.height), along(event.clientX, box.left, box.width, size.width)];
}

function isNear(a, b) {
  return Math.hypot(a[0] - b[0], a[1] - b[1]) <= NEAR;
}

svg.addEventListener("pointerdown", (event) => {
  if (!size) return;
  event.preventDefault();
  svg.setPointerCapture(event.pointerId);
  const at = pixelAt(event);
  held = isNear(at, end) ? "end" : isNear(at, start) ? "start" : "new";
  if (held === "new") [start, end, held] = [at, at, "end"];
  else if (held === "end") end = at;
  else start = at;
  place();
});
svg.addEventListener("pointermove", (event) => {
  if (!held) return;
  if (held === "end") end = pixelAt(event);
  else start = pixelAt(event);
  place();
});
function release() {
  if (!held) return;
  held = null;
  trigger("pick", { start, end });
}
svg.addEventListener("pointerup", release);
svg.addEventListener("pointercancel", release);

function draw() {
  const value = props.value;
  if (!value || !value.version || value.version < Number(root.dataset.version || 0)) return;
  status.textContent = value.error || "";
  status.hidden = !value.error;
  clearTimeout(pollTimer);
  if (!value.error) {
    const { width, height } = value;
    size = { width, height };
    paint(canvas, value.pixels, width, height);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    if (!held) {
      start = value.start;
      end = value.end;
      place();
    }
    numbers.replaceChildren();
    for (const [name, step] of value.numbers) {
      const row = make("tr", "", numbers);
      make("th", "line-cell", row, name).scope = "row";
      make("td", "line-cell is-number", row, step);
    }
    notes.textContent = value.notes.join(" ");
    notes.hidden = value.notes.length === 0;
    if (value.pending) pollTimer = setTimeout(() => { if (root.isConnected) trigger("retry"); }, POLL_MS);
  }
  root.dataset.version = value.version;
}
watch("value", draw);
draw();
