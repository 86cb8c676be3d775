// The whole photo, small, with the frame of the region that is shown. Given by Gradio: element, props, watch, trigger.
// Its data hold what the controls write down: the photo's id, and the region's first row, first column and side.
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

const root = element.querySelector(".photo-map");
const part = (name) => root.querySelector(`.photo-map-${name}`);
const picture = part("picture"), frame = part("frame");
let photo = null; // its payload
let region = null; // in pixels of the photo: top, left, side
let wanted = 128; // the side that was chosen; of a photo that is smaller, all of its shorter side is shown
let drag = null; // where in the region a pointer holds it

const limit = (value, low, high) => Math.min(Math.max(Math.round(value), low), high);

// The nearest region that lies within the photo.
function setRegion(top, left) {
  const { width, height } = photo;
  const side = fitting();
  region = { top: limit(top, 0, height - side), left: limit(left, 0, width - side), side };
  frame.style.left = `${(100 * region.left) / width}%`;
  frame.style.top = `${(100 * region.top) / height}%`;
  frame.style.width = `${(100 * side) / width}%`;
  frame.style.height = `${(100 * side) / height}%`;
  frame.setAttribute("aria-valuemax", height * width);
  frame.setAttribute("aria-valuenow", region.top * width + region.left);
  frame.setAttribute("aria-valuetext", `${side} pixels wide, ${region.left} from the left, ${region.top} from the top`);
  root.dataset.region = JSON.stringify({ photo: photo.id, top: region.top, left: region.left, side: wanted });
}

const fitting = () => Math.min(wanted, photo.width, photo.height);

function moveTo(top, left) {
  const before = root.dataset.region;
  setRegion(top, left);
  if (root.dataset.region !== before) trigger("moved");
}

// Where a pointer is, in pixels of the photo.
function spotOf({ clientX, clientY }) {
  const box = picture.getBoundingClientRect();
  return { x: ((clientX - box.left) / box.width) * photo.width, y: ((clientY - box.top) / box.height) * photo.height };
}

picture.addEventListener("pointerdown", (event) => {
  if (drag || event.button !== 0) return;
  const { x, y } = spotOf(event);
  const isIn = x >= region.left && x < region.left + region.side && y >= region.top && y < region.top + region.side;
  if (event.target !== frame && event.pointerType !== "mouse") return; // a finger may scroll the page; see click
  drag = { pointer: event.pointerId, x: isIn ? x - region.left : region.side / 2, y: isIn ? y - region.top : region.side / 2 };
  picture.setPointerCapture(event.pointerId);
  moveTo(y - drag.y, x - drag.x);
});
picture.addEventListener("pointermove", (event) => {
  if (!drag || drag.pointer !== event.pointerId) return;
  const { x, y } = spotOf(event);
  moveTo(y - drag.y, x - drag.x);
});
for (const name of ["pointerup", "pointercancel"]) {
  picture.addEventListener(name, (event) => {
    if (drag && drag.pointer === event.pointerId) drag = null;
  });
}
picture.addEventListener("click", (event) => {
  if (event.target === frame || event.pointerType === "mouse") return;
  const { x, y } = spotOf(event);
  moveTo(y - region.side / 2, x - region.side / 2);
});

frame.addEventListener("keydown", (event) => {
  const direction = STEPS[event.key];
  if (!direction || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  const step = Math.max(1, Math.round(event.shiftKey ? region.side : region.side / 8));
  moveTo(region.top + step * direction[0], region.left + step * direction[1]);
});

// The middle stays.
function resize(side) {
  wanted = side;
  if (!photo) return;
  const shift = (region.side - fitting()) / 2;
  moveTo(region.top + shift, region.left + shift);
}

// The choice of sizes is another component.
document.addEventListener("change", ({ target }) => {
  if (target.closest("#photo-side")) resize(Number(target.value));
});

// A payload brings a photo.
function draw() {
  const payload = readPayload(props.value);
  if (!payload || !payload.id || payload.id === photo?.id) return;
  photo = payload;
  drag = null;
  root.hidden = false;
  root.dataset.photo = photo.id;
  part("photo").src = `data:image/jpeg;base64,${photo.overview}`;
  picture.style.setProperty("--ratio", photo.width / photo.height);
  part("about").textContent = photo.about;
  setRegion(photo.middle[0] - fitting() / 2, photo.middle[1] - fitting() / 2);
  trigger("moved");
}
watch("value", draw);
draw();
