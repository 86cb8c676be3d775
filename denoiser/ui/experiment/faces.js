// Paints the strip of sample faces. Given by Gradio: element, props, watch, trigger.
const strip = element.querySelector(".faces");

function highlight(id) {
  for (const button of strip.children) button.setAttribute("aria-pressed", String(button.dataset.id === id));
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

// Without faces, the value says which of those on show is chosen; it may bring that one along, which
// then takes the last one's place if it is not on show yet.
function draw() {
  const value = props.value || {};
  if (value.faces) strip.replaceChildren(...value.faces.map(createFace));
  if (value.face && ![...strip.children].some((button) => button.dataset.id === value.face.id)) {
    if (strip.lastElementChild) strip.lastElementChild.remove();
    strip.prepend(createFace(value.face));
  }
  highlight(value.chosen);
}
watch("value", draw);
draw();
