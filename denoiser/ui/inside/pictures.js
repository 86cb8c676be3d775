// Paints pictures with their names, numbers and scales. Given by Gradio: element, props, watch, trigger.
const POLL_MS = 1500; // while a model is being downloaded
const FRAME_MS = 250; // of a film

const root = element.querySelector(".panels");
const status = root.querySelector(".panels-status");
const list = root.querySelector(".panels-list");
const said = root.querySelector(".panels-said");
let shown = "";
let pollTimer = 0;
let filmTimer = 0;

// A button that shows other panels' pictures, one after the other, in a panel's place. Nothing moves
// before it is pressed.
function addFilm(item, canvas, panel, pictures) {
  const button = make("button", "panel-play", item, "Play");
  button.type = "button";
  let frame = 0;
  const step = () => {
    frame = (frame + 1) % panel.frames.length;
    paint(canvas, pictures.get(panel.frames[frame]), panel.width, panel.height);
    canvas.dataset.frame = panel.frames[frame];
  };
  button.addEventListener("click", () => {
    const plays = button.textContent === "Pause";
    clearInterval(filmTimer);
    if (!plays) filmTimer = setInterval(() => { if (root.isConnected) step(); }, FRAME_MS);
    button.textContent = plays ? "Play" : "Pause";
  });
}

function addPanel(panel, pictures) {
  const item = make("li", "panel", list);
  item.dataset.panel = panel.id;
  make("h4", "panel-label", item, panel.label);
  if (panel.pixels) {
    const canvas = make("canvas", "panel-picture", item);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", panel.alt);
    paint(canvas, panel.pixels, panel.width, panel.height);
    if (panel.frames) addFilm(item, canvas, panel, pictures);
  }
  if (panel.scale) {
    const scale = make("p", "panel-scale", item);
    make("span", "", scale, panel.scale.ends[0]);
    const bar = make("canvas", "", scale);
    bar.setAttribute("aria-hidden", "true");
    paint(bar, panel.scale.pixels, 256, 1);
    make("span", "", scale, panel.scale.ends[1]);
  }
  if (panel.numbers && panel.numbers.length) {
    const table = make("dl", "panel-numbers", item);
    for (const [name, value] of panel.numbers) {
      const row = make("div", "", table);
      make("dt", "", row, name);
      make("dd", "", row, value);
    }
  }
  if (panel.note) make("p", "panel-note", item, panel.note);
}

function draw() {
  const value = props.value;
  if (!value || !value.version || value.version < Number(root.dataset.version || 0)) return;
  status.textContent = value.error || "";
  status.hidden = !value.error;
  // What a wrong number interrupts stays on show.
  const panels = JSON.stringify(value.panels);
  // The same ones are left alone, whatever computed them anew: a film may be playing.
  if (!value.keep && panels !== shown) {
    shown = panels;
    list.replaceChildren();
    clearInterval(filmTimer);
    const pictures = new Map(value.panels.map(({ id, pixels }) => [id, pixels]));
    value.panels.forEach((panel) => addPanel(panel, pictures));
    const sentences = value.panels.map((panel) => panel.alt || `${panel.label}: ${panel.note}`);
    said.textContent = sentences.length ? `${sentences.join("; ")}.` : "";
  }
  root.dataset.version = value.version;
  clearTimeout(pollTimer);
  // Hidden parts are taken off the page, and are not waited for.
  if (value.pending) pollTimer = setTimeout(() => { if (root.isConnected) trigger("retry"); }, POLL_MS);
}
watch("value", draw);
draw();
