// Undo and Reset of the settings: the size, the noise and the methods. Given by Gradio: element, props, trigger. The controls
// write what they all say into the grid's data; the face is none of them.
const REST_MS = 700; // a slider that is dragged is one step
const STEPS = 50;
const root = element.querySelector(".history");
const [undo, reset] = root.querySelectorAll("button");
const first = JSON.stringify(JSON.parse(props.value.first)); // as the browser writes it
const past = []; // settings as texts; the present ones are the last
let awaited = ""; // what the controls are being set to, one after the other
let timer = 0;

function note() {
  const { written = "" } = document.querySelector("#comparison .lab").dataset;
  if (!written || (awaited && written !== awaited)) return;
  awaited = "";
  if (written !== past.at(-1)) past.push(written);
  past.splice(0, past.length - STEPS);
  undo.disabled = past.length < 2;
  reset.disabled = written === first;
}

function show(text) {
  awaited = text;
  root.dataset.wanted = text;
  trigger("restore");
}

document.addEventListener("experiment", () => {
  clearTimeout(timer);
  timer = setTimeout(note, REST_MS);
});
// Whoever moves a control meanwhile has changed their mind.
for (const name of ["input", "click"]) {
  document.addEventListener(name, (event) => { if (event.isTrusted && !root.contains(event.target)) awaited = ""; });
}
undo.addEventListener("click", () => {
  note(); // the last step may be younger than a moment
  if (past.length < 2) return;
  past.pop();
  show(past.at(-1));
});
reset.addEventListener("click", () => show(first));
