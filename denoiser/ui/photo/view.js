// Paints the region of a photo that is shown. Given by Gradio: element, props, watch, trigger. Its data hold the method
// that is on the stage, which the server computes first.
const OTHERS_MS = 150; // first these pictures are painted, and a region that is dragged goes on moving
const POLL_MS = 1000; // while a model is being downloaded
const SPEAK_MS = 700;

const root = element.querySelector(".photo");
const part = (name) => root.querySelector(`.photo-${name}`);
const strip = part("strip");
const tab = document.querySelector("#photo");
const entries = new Map(); // id -> elements of a method in the strip
let live = null, others = null;
let othersTimer = 0, speakTimer = 0;

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = text === "";
}

// A method's result of now, else its last one, else nothing yet. The one on the stage may have more to come: what is
// estimated of a noisy photo follows.
function latest(card) {
  if (card.id === "clean" || card.id === "noisy") return { data: card, fresh: true };
  const found = others && others.cards.find(({ id }) => id === card.id);
  const isNow = Boolean(found) && others.key === live.key;
  if (!card.pending && !isNow) return { data: card, fresh: live.clean || Boolean(card.error) };
  if (!found || found.pending) return { data: found ? { ...card, ...found } : card, fresh: !card.pending };
  return { data: found, fresh: isNow };
}

// Pixels are decoded once, however often a picture is painted.
const decoded = new Map(); // id -> {text, pixels}
function pixelsOf({ id, pixels: text }) {
  if (decoded.get(id)?.text !== text) decoded.set(id, { text, pixels: decode(text) });
  return decoded.get(id).pixels;
}

// Of another size than the region has now, a picture is no more than out of date.
const fits = ({ pixels }) => Boolean(pixels) && pixels.length === live.cards[0].pixels.length;

function createEntry(id) {
  const entry = { root: make("li") };
  entry.button = make("button", "photo-method", entry.root);
  entry.button.type = "button";
  entry.button.dataset.method = id;
  entry.canvas = make("canvas", "", entry.button);
  entry.canvas.setAttribute("aria-hidden", "true");
  entry.label = make("span", "photo-label", entry.button);
  entry.gain = make("strong", "", entry.button);
  entry.note = make("span", "photo-note", entry.button);
  entry.button.addEventListener("click", () => stage.choose(id));
  return entry;
}

function writeEntry(entry, { data, fresh }) {
  const message = data.error || data.note || "";
  entry.root.dataset.state = fresh ? "settled" : "updating";
  entry.canvas.hidden = !fits(data);
  if (fits(data) && entry.painted !== data.pixels) {
    entry.painted = data.pixels;
    paint(entry.canvas, data.pixels, live.side, live.side);
  }
  entry.button.disabled = !fits(data);
  setText(entry.label, data.label);
  setText(entry.gain, fresh ? data.gain || data.stein || "" : "");
  const notes = [data.steinRange, data.flag, data.purpose, data.strength];
  setText(entry.note, message || (fresh ? notes.filter(Boolean).join(", ") : "computing"));
}

function numbersOf({ gain, psnr, ssim, stein, steinRange, strength, id }) {
  const estimated = stein && `PSNR by Stein's estimate ${stein}${steinRange ? `, ${steinRange}` : ""}`;
  const numbers = [gain && `${gain} over noisy`, psnr && `PSNR ${psnr}`, ssim && `SSIM ${ssim}`, estimated, !psnr && strength];
  return id === "clean" ? "" : numbers.filter(Boolean).join(", ");
}

// What the stage can show, in the strip's order.
function onOffer(shown) {
  return shown.filter(({ data }) => fits(data)).map(({ data }) => {
    const { side } = live, pixels = pixelsOf(data);
    return {
      id: data.id,
      label: data.label,
      numbers: numbersOf(data),
      gain: data.gain,
      rank: data.gain ? data.psnrRank : undefined,
      isForOther: Boolean(data.purpose),
      pixels,
      width: side,
      height: side,
      paint: (canvas) => paint(canvas, data.pixels, side, side),
    };
  });
}

function draw() {
  const shown = live.cards.map((card) => ({ id: card.id, ...latest(card) }));
  const methods = shown.filter(({ id }) => id !== "clean" && id !== "noisy");
  for (const method of methods) {
    if (!entries.has(method.id)) entries.set(method.id, createEntry(method.id));
    writeEntry(entries.get(method.id), method);
  }
  const wanted = methods.map(({ id }) => entries.get(id).root);
  entries.forEach((entry, id) => {
    if (!wanted.includes(entry.root)) { entry.root.remove(); entries.delete(id); }
  });
  wanted.forEach((node, index) => {
    if (strip.children[index] !== node) strip.insertBefore(node, strip.children[index] || null);
  });
  root.dataset.state = shown.every(({ fresh }) => fresh) ? "settled" : "updating";
  root.dataset.key = live.key;
  setText(part("given"), live.caption);
  setText(part("about"), live.about);
  const about = { face: `${live.photo} ${live.place} ${live.side}`, noise: live.caption, isResidual: !live.clean };
  stage.show(onOffer(shown), about);
  root.querySelector(".stage-modes label:last-child span").textContent = live.clean ? "Difference" : "Method noise";
}

function markChosen(id) {
  root.dataset.method = id;
  entries.forEach((entry, own) => entry.button.setAttribute("aria-pressed", String(own === id)));
}

function speak() {
  const verdict = root.querySelector(".stage-verdict").textContent;
  part("said").textContent = live.clean ? `${live.caption}. ${verdict}` : live.about;
}

// What the page shows of the controls goes by what the photo is.
function showQuestion(question) {
  tab.dataset.photo = question ? "unknown" : live.clean ? "clean" : "noisy";
  part("question").hidden = !question;
  for (const node of [strip, part("given"), part("about")]) node.hidden = question;
  if (!question) return;
  part("large").src = document.querySelector("#photo-map img").src;
  root.dataset.state = "question";
  live = others = null;
  stage.show([], {});
}

function receive(payload) {
  if (!payload || !payload.version || payload.version < Number(root.dataset.version || 0)) return;
  root.dataset.version = payload.version;
  const failed = payload.error && (live ? `${payload.error} The pictures show the last good settings.` : payload.error);
  setText(part("status"), failed || "");
  root.dataset.error = payload.error ? "yes" : "no";
  if (payload.error) return;
  if (payload.question) return showQuestion(true);
  live = payload;
  showQuestion(false);
  draw();
  clearTimeout(othersTimer);
  if (root.dataset.state === "updating") othersTimer = setTimeout(() => trigger("others"), OTHERS_MS);
  clearTimeout(speakTimer);
  speakTimer = setTimeout(() => live && speak(), SPEAK_MS);
}

function receiveOthers(payload) {
  if (!payload || !payload.version || (others && payload.version < others.version)) return;
  if (payload.error) return setText(part("status"), payload.error);
  others = payload;
  if (!live) return;
  draw();
  if (!others.cards.some((card) => card.pending)) return;
  clearTimeout(othersTimer);
  othersTimer = setTimeout(() => trigger("others"), POLL_MS);
}

const stage = createStage(root.querySelector(".stage"), markChosen);
root.addEventListener("others", (event) => receiveOthers(event.detail));
setText(part("status"), "");
for (const node of [strip, part("question"), part("given"), part("about")]) node.hidden = true;
watch("value", () => receive(readPayload(props.value)));
receive(readPayload(props.value));
