// Paints the strip of faces. Given by Gradio: element, props, watch, trigger.
const strip = element.querySelector(".faces");
const places = props.value.faces.length; // as many as there are at first
let own = null; // the button of the visitor's own face, which stays whatever samples are on offer

function highlight(id) {
  for (const button of strip.children) button.setAttribute("aria-pressed", String(button.dataset.id === id));
}

// The face in the grid, which the link names as the strip does.
function shown() {
  const { link = "" } = document.querySelector("#comparison .lab")?.dataset || {};
  return new URLSearchParams(link).get("face");
}

function createFace({ id, label, pixels, side }) {
  const button = make("button");
  button.type = "button";
  button.dataset.id = id;
  button.title = label;
  button.setAttribute("aria-label", label);
  paint(make("canvas", "", button), pixels, side, side);
  button.addEventListener("click", () => {
    highlight(id);
    trigger("select", { id });
  });
  return button;
}

function showOwn(face) {
  const before = own;
  own = face && createFace(face);
  if (own) own.classList.add("own");
  if (before && own) before.replaceWith(own);
  else if (before) before.remove();
  else if (own) strip.prepend(own);
}

function showSample(face) {
  if ([...strip.children].some((button) => button.dataset.id === face.id)) return;
  if (strip.lastElementChild !== own) strip.lastElementChild.remove();
  strip.insertBefore(createFace(face), own ? own.nextSibling : strip.firstChild);
}

// A value may bring other samples, one more, or the visitor's own face. Of too many, the last go. It says
// which face was chosen; the grid does where a choice has come to nothing.
function draw() {
  const value = props.value || {};
  if (value.faces) strip.replaceChildren(...(own ? [own] : []), ...value.faces.map(createFace));
  if (value.face) showSample(value.face);
  if ("own" in value) showOwn(value.own);
  while (strip.children.length > places) strip.lastElementChild.remove();
  highlight("chosen" in value ? value.chosen : shown());
}
// Whatever the face was changed by: the outline is where the pictures come from.
document.addEventListener("experiment", () => highlight(shown()));
watch("value", draw);
draw();
