// Paints the strip of sample faces. Given by Gradio: element, props, watch, trigger.
const strip = element.querySelector(".faces");

function highlight(id) {
  for (const button of strip.children) button.setAttribute("aria-pressed", String(button.dataset.id === id));
}

function createFace({ id, label, pixels, side }) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.id = id;
  button.title = label;
  button.setAttribute("aria-label", label);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  const values = atob(pixels);
  for (let i = 0; i < values.length; i++) {
    const gray = values.charCodeAt(i);
    image.data.set([gray, gray, gray, 255], 4 * i);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  button.append(canvas);
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
