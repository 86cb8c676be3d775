// Paints what the classifier reads in each picture. Given by Gradio: element, props, watch.
// A value is {version, summary: [text], cards: [{id, label, pixels, width, height, alt, read, share, verdict, changed,
// bars: [{name, share, text, top, crowd}]} or {id, label, note}]}, or {version, error}.
const root = element.querySelector(".emotion");
const [error, summary, list] = root.children;

function createBar(bar, parent) {
  const line = make("li", "emotion-bar", parent);
  line.classList.toggle("is-top", bar.top);
  const name = make("span", "emotion-name", line, bar.name);
  if (bar.crowd) {
    make("span", "emotion-crowd", name, " ◆").setAttribute("aria-hidden", "true");
    make("span", "unseen", name, " (most of the crowd)");
  }
  const gauge = make("span", "emotion-gauge", line);
  gauge.setAttribute("aria-hidden", "true");
  make("span", "emotion-fill", gauge).style.width = `${100 * bar.share}%`;
  make("span", "emotion-share", line, bar.text);
}

function createCard(data) {
  const card = make("li", "card emotion-card");
  card.dataset.method = data.id;
  make("h3", "card-label", card, data.label);
  if (data.note) {
    make("p", "card-error", card, data.note);
    return card;
  }
  card.dataset.read = data.read.toLowerCase();
  const canvas = make("canvas", "card-picture", card);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", data.alt);
  paint(canvas, data.pixels, data.width, data.height);
  const read = make("p", "emotion-read", card);
  make("strong", "", read, data.read);
  make("span", "", read, ` ${data.share}`);
  const verdict = make("p", "emotion-verdict", card, data.verdict && (data.changed ? "✗ " : "✓ ") + data.verdict);
  verdict.classList.toggle("is-changed", data.changed);
  const bars = make("ul", "emotion-bars", card);
  bars.setAttribute("aria-label", `Probabilities, ${data.label}`);
  for (const bar of data.bars) createBar(bar, bars);
  return card;
}

function draw() {
  const value = props.value || {};
  if (!value.version) return;
  error.textContent = value.error || "";
  error.hidden = !value.error;
  root.dataset.version = value.version;
  const cards = value.cards || [];
  summary.replaceChildren(...(value.summary || []).map((text) => make("p", "", null, text)));
  if (cards.some((card) => (card.bars || []).some((bar) => bar.crowd))) {
    make("p", "emotion-legend", summary, "◆ is what most of the crowd named in this face.");
  }
  list.replaceChildren(...cards.map(createCard));
}
watch("value", draw);
draw();
