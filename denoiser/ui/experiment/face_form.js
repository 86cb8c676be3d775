// The size of the face, and whether it is in colour. Given by Gradio: element, props, watch, trigger. The value is text,
// [size, colour]: what was wanted last, also while the face at hand has no more than its small gray picture. The grid's
// script says what a face can be had in, and is shown in.
const root = element.querySelector(".face-form");
const sizes = root.querySelector("fieldset");
const [colour] = root.querySelectorAll(".face-form-colour input");
const why = root.querySelector(".face-form-why");
const name = "face-size";
let wanted = JSON.parse(props.value);

for (const size of props.sizes) {
  const label = make("label", "", sizes);
  const input = make("input", "", label);
  Object.assign(input, { type: "radio", name, value: size });
  input.addEventListener("change", () => want(size, wanted[1]));
  make("span", "", label, `${size}x${size}`);
}
colour.addEventListener("change", () => want(wanted[0], colour.checked));
why.querySelector("button").addEventListener("click", () => trigger("select"));

function want(...form) {
  wanted = form;
  props.value = JSON.stringify(wanted);
  show();
}

function show() {
  const { form } = document.querySelector("#comparison .lab")?.dataset || {};
  const offer = form ? JSON.parse(form) : { sizes: true, colours: true, why: "", other: "" };
  for (const input of sizes.querySelectorAll("input")) {
    input.checked = Number(input.value) === (offer.sizes ? wanted[0] : offer.size);
    input.disabled = !offer.sizes;
  }
  colour.checked = offer.colours && wanted[1];
  colour.disabled = !offer.colours;
  why.hidden = !offer.why;
  why.firstElementChild.textContent = offer.why;
  why.lastElementChild.hidden = !offer.other;
}

// Set from elsewhere: by an address, a lesson, or Undo.
watch("value", () => {
  wanted = JSON.parse(props.value);
  show();
});
document.addEventListener("experiment", show);
show();
