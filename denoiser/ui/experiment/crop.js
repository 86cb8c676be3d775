// A visitor's whole picture, and the square of it that is the face.
// Given by Gradio: element, props, watch, trigger.
const KEYS_MS = 300; // after the last key the square counts as let go
const CORNER = { mouse: 14, other: 24 }; // CSS pixels around a corner that resize the square
const SMALL_CORNER = 0.3; // of the square's side: more of a small one is no corner
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

const root = element.querySelector(".crop");
const part = (name) => root.querySelector(`.crop-${name}`);
const scroll = part("scroll"), picture = part("picture"), photo = part("photo"), box = part("square");
const canvas = part("result").querySelector("canvas");
let shown = null; // the picture's payload
let square = null; // in whole pixels of the photo: top, left, side
let drag = null; // what a pointer that is down does to the square
let keyTimer = 0;

const limit = (value, low, high) => Math.min(Math.max(value, low), high);
const isSame = (one, other) => one.top === other.top && one.left === other.left && one.side === other.side;
const original = (pixels) => Math.round(pixels * shown.scale);

// Puts an element where a square of the photo is.
function place(node, { top, left, side }) {
  node.style.left = `${(100 * left) / shown.width}%`;
  node.style.top = `${(100 * top) / shown.height}%`;
  node.style.width = `${(100 * side) / shown.width}%`;
}

// The nearest square that lies within the photo.
function setSquare({ top, left, side }) {
  const { width, height, smallest } = shown;
  const whole = limit(Math.round(side), smallest, Math.min(width, height));
  square = {
    top: limit(Math.round(top), 0, height - whole),
    left: limit(Math.round(left), 0, width - whole),
    side: whole,
  };
  place(box, square);
  box.setAttribute("aria-valuenow", original(square.side));
  box.setAttribute("aria-valuetext", `${original(square.side)} pixels wide, `
    + `${original(square.left)} from the left, ${original(square.top)} from the top`);
  part("choices").childNodes.forEach((button, index) => {
    button.setAttribute("aria-pressed", String(isSame(shown.choices[index].square, square)));
  });
  part("outlines").childNodes.forEach((outline, index) => {
    outline.hidden = isSame(shown.choices[index].square, square);
  });
  part("says").textContent = sentence(original(square.side), shown.face_size);
  preview();
}

function sentence(side, target) {
  const what = `The square, ${side}x${side} pixels, is cut out`;
  if (side === target) return `${what} and turned gray.`;
  return `${what}, turned gray and ${side > target ? "scaled" : "enlarged"} to ${target}x${target}.`;
}

// Roughly what the face will be: the server cuts it out of finer pixels.
function preview() {
  if (!photo.naturalWidth) return;
  const across = photo.naturalWidth / shown.width, down = photo.naturalHeight / shown.height;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(photo, square.left * across, square.top * down, square.side * across, square.side * down,
    0, 0, canvas.width, canvas.height);
}

// Of a panorama only a part is in sight.
function reveal() {
  const middle = (start, whole, seen) => ((start + square.side / 2) / whole) * picture[seen] - scroll[seen] / 2;
  scroll.scrollTo(middle(square.left, shown.width, "clientWidth"), middle(square.top, shown.height, "clientHeight"));
}

// Another side, with the same middle.
function resize(side) {
  const whole = limit(side, shown.smallest, Math.min(shown.width, shown.height));
  const shift = (square.side - whole) / 2;
  setSquare({ top: square.top + shift, left: square.left + shift, side: whole });
}

function letGo() {
  clearTimeout(keyTimer);
  keyTimer = 0;
  trigger("cut", { id: shown.id, ...square });
}

// Where a pointer is, in pixels of the photo.
function spotOf({ clientX, clientY }) {
  const frame = picture.getBoundingClientRect();
  return {
    x: ((clientX - frame.left) / frame.width) * shown.width,
    y: ((clientY - frame.top) / frame.height) * shown.height,
  };
}

// Which corner a pointer is at: [down, right], each 0 or 1; null within the square.
function cornerAt(event) {
  const { x, y } = spotOf(event);
  const pixel = shown.width / picture.getBoundingClientRect().width;
  const reach = (event.pointerType === "mouse" ? CORNER.mouse : CORNER.other) * pixel;
  const inside = Math.min(reach, SMALL_CORNER * square.side);
  const side = (at, start) => {
    if (at >= start - reach && at <= start + inside) return 0;
    return at >= start + square.side - inside && at <= start + square.side + reach ? 1 : null;
  };
  const corner = [side(y, square.top), side(x, square.left)];
  return corner.includes(null) ? null : corner;
}

function follow(event) {
  const { x, y } = spotOf(event);
  const { corner, start, from } = drag;
  drag.moved = true;
  if (!corner) {
    setSquare({ top: start.top + y - from.y, left: start.left + x - from.x, side: start.side });
    return;
  }
  const [down, right] = corner;
  // The corner across stays where it is.
  const across = { y: start.top + (down ? 0 : start.side), x: start.left + (right ? 0 : start.side) };
  const room = Math.min(down ? shown.height - across.y : across.y, right ? shown.width - across.x : across.x);
  const wanted = start.side + Math.max((down ? 1 : -1) * (y - from.y), (right ? 1 : -1) * (x - from.x));
  const side = Math.round(limit(wanted, shown.smallest, room));
  setSquare({ top: across.y - (down ? 0 : side), left: across.x - (right ? 0 : side), side });
}

box.addEventListener("pointerdown", (event) => {
  if (drag || event.button !== 0) return;
  box.setPointerCapture(event.pointerId);
  drag = { pointer: event.pointerId, corner: cornerAt(event), start: square, from: spotOf(event), moved: false };
});
box.addEventListener("pointermove", (event) => {
  if (drag && drag.pointer === event.pointerId) return follow(event);
  const corner = cornerAt(event);
  box.style.cursor = !corner ? "move" : corner[0] === corner[1] ? "nwse-resize" : "nesw-resize";
});
for (const name of ["pointerup", "pointercancel"]) {
  box.addEventListener(name, (event) => {
    if (!drag || drag.pointer !== event.pointerId) return;
    const { moved } = drag;
    drag = null;
    if (moved) letGo();
  });
}
// A click beside the square brings it there: a finger that scrolls the page does not click.
picture.addEventListener("click", (event) => {
  if (event.target === box) return;
  const { x, y } = spotOf(event);
  const isIn = ({ top, left, side }) => x >= left && x < left + side && y >= top && y < top + side;
  const face = shown.choices.find((choice) => choice.face && isIn(choice.square));
  setSquare(face ? face.square : { top: y - square.side / 2, left: x - square.side / 2, side: square.side });
  letGo();
});

box.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const step = Math.max(1, Math.round(Math.max(shown.width, shown.height) / 100));
  const direction = STEPS[event.key];
  const arrow = event.shiftKey && direction ? direction[1] - direction[0] : 0;
  const growth = { "+": 1, "=": 1, "-": -1, "_": -1 }[event.key] ?? arrow;
  if (!growth && !direction) return;
  if (growth) resize(square.side + 2 * growth * step);
  else setSquare({ ...square, top: square.top + step * direction[0], left: square.left + step * direction[1] });
  event.preventDefault();
  reveal();
  clearTimeout(keyTimer);
  keyTimer = setTimeout(letGo, KEYS_MS);
});
box.addEventListener("blur", () => keyTimer && letGo());

function createChoice({ label, square: wanted }) {
  const button = make("button", "", null, label);
  button.type = "button";
  button.addEventListener("click", () => {
    setSquare(wanted);
    reveal();
    letGo();
  });
  return button;
}

function showPicture(payload) {
  shown = payload;
  drag = null;
  clearTimeout(keyTimer);
  keyTimer = 0;
  picture.style.setProperty("--ratio", shown.width / shown.height);
  canvas.width = canvas.height = shown.face_size;
  photo.src = `data:image/jpeg;base64,${shown.photo}`;
  part("choices").replaceChildren(...shown.choices.map(createChoice));
  const faces = shown.choices.filter((choice) => choice.face);
  part("outlines").replaceChildren(...(faces.length > 1 ? faces : []).map(({ square: found }, index) => {
    const outline = make("div", "", null, String(index + 1));
    place(outline, found);
    return outline;
  }));
  box.setAttribute("aria-valuemin", original(shown.smallest));
  box.setAttribute("aria-valuemax", original(Math.min(shown.width, shown.height)));
}

// A payload brings a picture, or the square back to where it was; without either, the picture is gone.
function draw() {
  const payload = readPayload(props.value);
  if (payload?.photo) showPicture(payload);
  root.hidden = !shown || !payload?.square;
  if (root.hidden) return;
  setSquare(payload.square);
  reveal();
}
photo.addEventListener("load", preview);
watch("value", draw);
draw();
