// Paints the live grid. Given by Gradio: element, props, watch, trigger.
const SETTLE_MS = 1000;
const SPEAK_MS = 700;
const POLL_MS = 1000; // while a model is being downloaded
const SLOW_MS = 100; // first these pictures are painted, and a slider that moves goes on moving
const LENS = 9; // pixels of the picture in the magnifier, a side
const TIMES = 15; // a card shows the median milliseconds of so many of the page's last runs
const ERROR_MAX = 32; // of 255: where the error map's colours end
const RESIDUAL_MAX = 64; // of 255: where the residual's black and white lie
const START_MS = 20000; // how long to wait at most for the experiment that the address holds
const FINE = 8192 / 255; // steps of payload.fine per 1 of 255
// Inferno (Smith and van der Walt, CC0) at nine places, joined by straight lines.
const INFERNO = [[0, 0, 4], [31, 12, 72], [85, 15, 109], [136, 34, 106], [186, 54, 85],
  [227, 89, 51], [249, 140, 10], [249, 201, 50], [252, 255, 164]];
const LEGENDS = {
  picture: matchMedia("(pointer: coarse)").matches
    ? "Touch a small picture to magnify the same spot in all."
    : "Point at a picture, or focus one and use the arrow keys, to magnify the same spot in all.",
  error: "Error map: |picture − clean|. Black is no error, the brightest colour an error of 32 of 255 or more.",
  residual: "Residual: noisy − picture, what was taken away. Mid-gray is 0, black −64 and white +64 of 255.",
};

const IN_COLOUR = { // what the legends say besides
  picture: "",
  error: " It is the mean of red, green and blue.",
  residual: " Red, green and blue each have their own.",
};

const lab = element.querySelector(".lab");
const list = lab.querySelector(".lab-cards");
const part = (name) => lab.querySelector(".lab-" + name);
const cards = new Map(); // id -> elements and pixels of a card
const slow = new Map(); // id -> the newest card that followed, and of which comparison it is
let live = null, view = "picture", spot = null, sorted = false;
let early = null; // a payload that came before the address was read
let settleTimer = 0, speakTimer = 0, pollTimer = 0, slowTimer = 0;

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = text === "";
}

const colours = Array.from({ length: 256 }, (_, value) => {
  const place = (value / 255) * (INFERNO.length - 1);
  const index = Math.min(Math.floor(place), INFERNO.length - 2);
  return INFERNO[index].map((low, c) => low + (INFERNO[index + 1][c] - low) * (place - index));
});
// The four bytes of an opaque gray as one number, in this machine's byte order.
const GRAYS = Uint32Array.from({ length: 256 }, (_, value) =>
  new Uint32Array(Uint8Array.of(value, value, value, 255).buffer)[0]);
const errorColour = (value) => colours[Math.round((255 * Math.min(value, ERROR_MAX)) / ERROR_MAX)];
const residualGray = (value) => Math.round(127.5 + (127.5 * value) / RESIDUAL_MAX);

// One channel of a pixel of a card in the chosen view, in units of 1 of 255. The card's picture is of a comparison: the
// live one, or an earlier one.
function valueAt(card, index, of) {
  if (view === "picture") return card.pixels[index];
  // The noisy picture may lie outside 0 to 255 where it was not clipped; only here that shows.
  const noisy = of.fine[index] / FINE;
  const value = card.data.id === "noisy" ? noisy : card.pixels[index];
  return view === "error" ? Math.abs(value - of.clean[index]) : noisy - value;
}

// What a pixel is in the chosen view: one number for gray, and for an error; three for colour.
function valuesAt(card, pixel, of = live) {
  if (of.channels === 1) return [valueAt(card, pixel, of)];
  const values = [0, 1, 2].map((channel) => valueAt(card, 3 * pixel + channel, of));
  return view === "error" ? [(values[0] + values[1] + values[2]) / 3] : values;
}

function colourAt(card, pixel, of = live) {
  const values = valuesAt(card, pixel, of);
  if (view === "error") return errorColour(values[0]);
  const parts = view === "residual" ? values.map(residualGray) : values;
  return parts.length === 3 ? parts : [parts[0], parts[0], parts[0]];
}

const isWhole = (card) => Boolean(card.pixels) && live !== null && card.pixels.length === live.clean.length;

function paintCard(card) {
  if (!isWhole(card)) return;
  const drawn = card.drawn;
  if (drawn && drawn.pixels === card.pixels && drawn.live === live && drawn.view === view) return;
  card.drawn = { pixels: card.pixels, live, view };
  paintOn(card.canvas, card);
  paintLens(card);
}

// Paints a card's picture, in the view that is shown.
function paintOn(canvas, card, of = live) {
  if (canvas.width !== of.width || canvas.height !== of.height) {
    canvas.width = of.width;
    canvas.height = of.height;
  }
  const context = canvas.getContext("2d");
  const image = context.createImageData(of.width, of.height);
  if (view === "picture") {
    // By far the most common, and as fast as the slider moves.
    const { pixels } = card, words = new Uint32Array(image.data.buffer);
    for (let pixel = 0; pixel < words.length; pixel++) words[pixel] = GRAYS[pixels[of.channels * pixel]];
    if (of.channels === 3) {
      for (let pixel = 0; pixel < words.length; pixel++) {
        image.data[4 * pixel + 1] = pixels[3 * pixel + 1];
        image.data[4 * pixel + 2] = pixels[3 * pixel + 2];
      }
    }
  } else {
    for (let pixel = 0; pixel < of.width * of.height; pixel++) {
      image.data.set(colourAt(card, pixel, of), 4 * pixel);
      image.data[4 * pixel + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

function paintLens(card) {
  const shown = spot !== null && isWhole(card);
  card.lens.hidden = card.box.hidden = card.reading.hidden = !shown;
  if (!shown) return;
  const { width, height } = live;
  const half = (LENS - 1) / 2;
  const context = card.lens.getContext("2d");
  const image = context.createImageData(LENS, LENS);
  for (let row = 0; row < LENS; row++) {
    for (let column = 0; column < LENS; column++) {
      const y = spot.row + row - half, x = spot.column + column - half;
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      image.data.set([...colourAt(card, y * width + x), 255], 4 * (row * LENS + column));
    }
  }
  context.clearRect(0, 0, LENS, LENS);
  context.putImageData(image, 0, 0);
  // The magnifier keeps clear of the spot it shows.
  card.lens.dataset.side = spot.column < width / 2 ? "right" : "left";
  Object.assign(card.box.style, {
    left: `${(100 * (spot.column - half)) / width}%`,
    top: `${(100 * (spot.row - half)) / height}%`,
    width: `${(100 * LENS) / width}%`,
    height: `${(100 * LENS) / height}%`,
  });
  card.reading.textContent = reading(card);
}

function reading(card) {
  const values = valuesAt(card, spot.row * live.width + spot.column).map(Math.round);
  const write = (value) => (view === "residual" && value > 0 ? "+" : "") + String(value).replace("-", "−");
  return values.map(write).join(" ");
}

function moveSpot(row, column) {
  if (!live) return;
  const limit = (value, end) => Math.min(Math.max(value, 0), end - 1);
  spot = { row: limit(row, live.height), column: limit(column, live.width) };
  cards.forEach(paintLens);
}

function hideSpot() {
  spot = null;
  cards.forEach(paintLens);
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function listenToPicture(canvas) {
  const follow = (event) => {
    if (!live) return;
    const place = canvas.getBoundingClientRect();
    moveSpot(
      Math.floor(((event.clientY - place.top) / place.height) * live.height),
      Math.floor(((event.clientX - place.left) / place.width) * live.width),
    );
  };
  canvas.addEventListener("pointermove", follow);
  canvas.addEventListener("pointerdown", follow);
  canvas.addEventListener("pointerleave", hideSpot);
  canvas.addEventListener("blur", hideSpot);
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return hideSpot();
    if (event.key === "Enter") return canvas.click(); // which the card takes for its own
    const step = STEPS[event.key];
    if (!step || !live) return;
    event.preventDefault();
    const from = spot || { row: live.height >> 1, column: live.width >> 1 };
    const far = event.shiftKey ? 5 : 1;
    moveSpot(from.row + (spot ? far * step[0] : 0), from.column + (spot ? far * step[1] : 0));
    speakLater(spokenSpot);
  });
}

// What the page says of a term.
const glossary = (term) => document.querySelector(`#glossary [data-term="${term}"]`).textContent;

const NUMBERS = [["psnr", "PSNR"], ["ssim", "SSIM"], ["sharpness", "Sharpness"], ["ms", "Time"], ["strength", "σ"]];

function createCard(id) {
  const card = { root: make("li", "card") };
  card.root.dataset.method = id;
  const head = make("div", "card-head", card.root);
  card.label = make("h3", "card-label", head);
  card.updating = make("span", "card-updating", head);
  card.frame = make("div", "card-frame", card.root);
  card.canvas = make("canvas", "card-picture", card.frame);
  card.canvas.setAttribute("role", "img");
  card.canvas.tabIndex = 0;
  card.box = make("div", "card-box", card.frame);
  card.lens = make("canvas", "card-lens", card.frame);
  card.lens.width = card.lens.height = LENS;
  card.lens.setAttribute("aria-hidden", "true");
  card.reading = make("span", "card-reading", card.frame);
  card.box.hidden = card.lens.hidden = card.reading.hidden = true;
  card.error = make("p", "card-error", card.root);
  card.headline = make("p", "card-gain", card.root);
  card.gain = make("strong", "", card.headline);
  card.gain.dataset.metric = "gain";
  card.gain.title = glossary("gain");
  card.over = make("span", "", card.headline);
  card.flag = make("p", "card-flag", card.root);
  const table = make("dl", "card-numbers", card.root);
  for (const [name, title] of NUMBERS) {
    const row = make("div", "", table);
    card[name + "Title"] = make("dt", "", row);
    card[name + "Title"].textContent = title;
    if (name === "psnr" || name === "ssim") card[name + "Best"] = make("dd", "card-best", row);
    card[name] = make("dd", "", row);
    card[name].dataset.metric = name;
    card[name + "Title"].title = glossary(name);
  }
  const foot = make("p", "card-kind", card.root);
  card.purpose = make("span", "card-purpose", foot);
  card.kind = make("span", "", foot);
  listenToPicture(card.canvas);
  if (id !== "clean") card.root.addEventListener("click", () => stage.choose(id));
  return card;
}

// One run tells little on a busy machine, where the same network takes 5 ms and 80. Times of pictures
// of another size are not mixed with these.
function noteTime(card, data) {
  if (data === card.data || typeof data.ms !== "number") return;
  const size = `${live.width}x${live.height}x${live.channels}`;
  if (card.timedSize !== size) card.times = [];
  card.timedSize = size;
  card.times = [...card.times, data.ms].slice(-TIMES);
}

function writeTime(card, data) {
  const times = typeof data.ms === "number" ? [...card.times].sort((a, b) => a - b) : [];
  const half = times.length >> 1;
  const median = times.length % 2 ? times[half] : (times[half - 1] + times[half]) / 2;
  setText(card.ms, !times.length ? "" : median < 0.1 ? "< 0.1 ms" : `${median.toFixed(1)} ms`);
  card.msTitle.textContent = times.length > 1 ? `Median of ${times.length}` : "One run";
  card.ms.closest("div").hidden = !times.length;
}

function writeCard(card, data) {
  noteTime(card, data);
  card.data = data;
  if (data.pixels && data.pixels !== card.encoded) {
    card.encoded = data.pixels;
    card.pixels = decode(data.pixels);
  }
  const message = data.error || data.note || ""; // instead of a picture
  if (message) card.pixels = card.encoded = null;
  card.frame.hidden = Boolean(message);
  setText(card.label, data.label);
  setText(card.error, message);
  setText(card.gain, data.gain || "");
  setText(card.over, data.over || "");
  card.headline.hidden = !data.gain;
  setText(card.flag, data.flag || "");
  writeTime(card, data);
  for (const name of ["psnr", "ssim", "sharpness", "strength"]) {
    setText(card[name], data[name] || "");
    card[name].closest("div").hidden = !data[name];
  }
  if (data.strength) card.strengthTitle.textContent = `σ ${data.strengthFrom}`;
  setText(card.purpose, data.purpose || "");
  setText(card.kind, data.kind || "");
}

// A slow method's card: its new result, else its last one, else nothing yet. A model that is being
// downloaded has a note instead.
function withSlow(data) {
  if (!data.pending) return { data, fresh: true };
  const found = slow.get(data.id);
  if (!found || found.data.pending || (data.note && found.key !== live.key)) return { data, fresh: false };
  return { data: found.data, fresh: found.key === live.key };
}

function markBest(shown) {
  const rivals = shown.filter(({ id, data, fresh }) => fresh && data.pixels && data.gain && id !== "noisy");
  for (const name of ["psnr", "ssim"]) {
    const best = Math.max(...rivals.map(({ data }) => data[name + "Rank"]));
    for (const { card, id, data, fresh } of shown) {
      const wins = rivals.length > 1 && fresh && data.gain && data.beats[name] && data[name + "Rank"] >= best;
      setText(card[name + "Best"], wins ? "best" : "");
    }
  }
}

function describe({ data, fresh }) {
  if (data.id === "clean") return `${data.label}: the picture before the noise, ${live.caption}`;
  const parts = [`PSNR ${data.psnr}`, `SSIM ${data.ssim}`];
  if (data.gain) parts.unshift(`${data.gain} ${data.over}`);
  if (data.flag) parts.push(data.flag);
  if (data.purpose) parts.push(data.purpose);
  if (!data.psnr) return `${data.label}: ${data.error || data.note || "updating"}`;
  return `${data.label}: ${parts.join(", ")}${fresh ? "" : ", updating"}`;
}

// The clean and the noisy picture, then the methods as they were chosen, or the one that gains most first.
function inOrder(shown) {
  if (!sorted) return shown;
  const place = ({ id, data }) => (id === "clean" || id === "noisy" ? Infinity : data.psnrRank ?? -Infinity);
  return [...shown].sort((one, two) => (place(one) === place(two) ? 0 : place(two) - place(one)));
}

function draw() {
  const shown = live.cards.map((announced) => {
    if (!cards.has(announced.id)) cards.set(announced.id, createCard(announced.id));
    const card = cards.get(announced.id);
    const { data, fresh } = withSlow(announced);
    writeCard(card, data);
    card.root.dataset.state = fresh ? "settled" : "updating";
    setText(card.updating, fresh ? "" : data.note ? "downloading" : "updating");
    card.canvas.setAttribute("aria-label", describe({ data, fresh }));
    return { id: announced.id, card, data, fresh };
  });
  const wanted = inOrder(shown).map(({ card }) => card.root);
  cards.forEach((card, id) => {
    if (!wanted.includes(card.root)) { card.root.remove(); cards.delete(id); }
  });
  // Moved only where the order differs: moving a node takes the focus from it.
  wanted.forEach((node, index) => {
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] || null);
  });
  markBest(shown);
  shown.forEach(({ card }) => paintCard(card));
  show();
  setText(part("given"), `${live.noiseText}, seed ${live.seed}`);
  lab.dataset.noise = live.noise;
  lab.dataset.seed = live.seed;
  lab.dataset.preset = live.preset;
  lab.dataset.sigma = live.sigma;
  lab.dataset.state = shown.every(({ fresh }) => fresh) ? "settled" : "updating";
}

// Puts the pictures on the stage.
function show() {
  stage.show(onOffer(), { face: live.cards[0].pixels, noise: live.noiseText });
}

// What the stage can show, in the cards' order. Each stays as it is now, for as long as somebody keeps it.
function onOffer() {
  const order = inOrder(live.cards.map(({ id }) => ({ id, data: cards.get(id).data })));
  return order.map(({ id }) => cards.get(id)).filter(isWhole).map((card) => {
    const of = live, { pixels, data } = card;
    const { id, label, gain, over, psnr, ssim, psnrRank, purpose } = data;
    const numbers = [gain && `${gain} ${over}`, psnr && `PSNR ${psnr}`, ssim && `SSIM ${ssim}`];
    return {
      id,
      label,
      numbers: numbers.filter(Boolean).join(", "),
      gain,
      rank: gain ? psnrRank : undefined,
      isForOther: Boolean(purpose),
      pixels,
      width: of.width,
      height: of.height,
      paint: (canvas) => paintOn(canvas, { pixels, data }, of),
    };
  });
}

function markChosen(id) {
  cards.forEach((card, own) => {
    if (own === id) card.root.setAttribute("aria-current", "true");
    else card.root.removeAttribute("aria-current");
  });
}

function spokenSummary() {
  if (!live) return "";
  const results = [...cards.values()].filter((card) => card.data.gain);
  const best = results.find((card) => card.psnrBest.textContent);
  const noisy = cards.get("noisy").data;
  const start = `${live.noiseText}. Noisy picture: PSNR ${noisy.psnr}.`;
  if (best) return `${start} Best PSNR: ${best.data.label}, ${best.data.psnr}, ${best.data.gain} ${best.data.over}.`;
  if (noisy.flag) return `${start} It is the clean one: ${noisy.flag}.`;
  if (results.length > 1) return `${start} None gains on it.`;
  return results.length ? `${start} ${describe({ data: results[0].data, fresh: true })}.` : start;
}

function spokenSpot() {
  if (!spot) return "";
  const values = [...cards.values()].filter(isWhole);
  const numbers = values.map((card) => `${card.data.label} ${reading(card)}`).join(", ");
  return `Row ${spot.row}, column ${spot.column}: ${numbers}.`;
}

function speakLater(sentence) {
  clearTimeout(speakTimer);
  speakTimer = setTimeout(() => { part("summary").textContent = sentence(); }, SPEAK_MS);
}

// The charts are asked for once they come into view: on a phone they lie far below, and Plotly's script is the
// largest that the page has.
const chartsWatch = new IntersectionObserver((entries) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  chartsWatch.disconnect();
  trigger("settle");
}, { rootMargin: "200px" });

function settleLater() {
  clearTimeout(settleTimer);
  settleTimer = setTimeout(() => {
    chartsWatch.disconnect(); // observing anew tells of a place that is in view already
    chartsWatch.observe(document.querySelector("#charts"));
  }, SETTLE_MS);
}

// The bar's address is another script's business.
function announce() {
  lab.dispatchEvent(new CustomEvent("experiment", { bubbles: true }));
}

// From now on every comparison is shown; the controls look here whether their changes count.
function start() {
  lab.dataset.started = "yes";
}

function receive(payload) {
  if (!payload || !payload.version || payload.version < Number(lab.dataset.version || 0)) return;
  if (payload.first) start();
  if (!lab.dataset.started) {
    early = payload;
    return;
  }
  lab.dataset.version = payload.version;
  const failed = payload.error && `${payload.error} The pictures show the last good settings.`;
  setText(part("status"), failed || payload.notice || "");
  if (payload.error) return announce(); // the last good settings are what is shown
  const clean = decode(payload.cards[0].pixels);
  live = {
    ...payload,
    clean,
    channels: clean.length / (payload.width * payload.height),
    fine: new Int16Array(decode(payload.fine).buffer),
  };
  writeLegend();
  draw();
  lab.dataset.form = JSON.stringify(payload.form);
  lab.dataset.link = payload.link;
  lab.dataset.ownFace = payload.ownFace;
  announce();
  clearTimeout(slowTimer);
  if (lab.dataset.state === "updating") slowTimer = setTimeout(() => trigger("slow"), SLOW_MS);
  settleLater();
  speakLater(spokenSummary);
}

function receiveSlow(payload) {
  if (!payload || !payload.version) return;
  const { version, key } = payload;
  for (const data of payload.cards) {
    if (!(slow.get(data.id)?.version > version)) slow.set(data.id, { data, key, version });
  }
  if (!live) return;
  draw();
  speakLater(spokenSummary);
  clearTimeout(pollTimer);
  if (payload.cards.some((card) => card.pending)) pollTimer = setTimeout(() => trigger("slow"), POLL_MS);
  else if (live.cards.some((card) => card.note)) settleLater(); // the charts lack a model that has come
}

function writeLegend() {
  const inColour = live && live.channels === 3 ? IN_COLOUR[view] : "";
  part("legend").lastElementChild.textContent = LEGENDS[view] + inColour;
}

function showView(name) {
  view = name;
  lab.dataset.view = name;
  writeLegend();
  const scale = part("scale");
  scale.hidden = name === "picture";
  const [low, canvas, high] = scale.children;
  low.textContent = name === "error" ? "0" : "−64";
  high.textContent = name === "error" ? "32+" : "+64";
  const context = canvas.getContext("2d");
  const image = context.createImageData(256, 1);
  for (let i = 0; i < 256; i++) image.data.set([...(name === "error" ? colours[i] : [i, i, i]), 255], 4 * i);
  context.putImageData(image, 0, 0);
  cards.forEach(paintCard);
  if (live) show();
  announce();
}

const stage = createStage(lab.querySelector(".stage"), markChosen);
createPresenting(lab.querySelector(".stage"), stage);
lab.querySelectorAll('[name="lab-view"]').forEach((input) => {
  input.addEventListener("change", () => showView(input.value));
});
part("sort").addEventListener("click", () => {
  sorted = !sorted;
  part("sort").setAttribute("aria-pressed", String(sorted));
  if (live) draw();
});
lab.addEventListener("slow-results", (event) => receiveSlow(event.detail));
setText(part("status"), "");
showView("picture");
watch("value", () => receive(readPayload(props.value)));
receive(readPayload(props.value));
setTimeout(() => {
  start();
  receive(early);
}, START_MS);
