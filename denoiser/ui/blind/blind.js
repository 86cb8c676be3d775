// Paints the blind test: a round, its results, or a class. Given by Gradio: element, props, watch, trigger.
const root = element.querySelector(".blind");
const status = root.querySelector(".blind-status");
const body = root.querySelector(".blind-body");
const PATIENCE_MS = 4000; // after which a click that had no answer may be repeated
let shown = "", waiting = 0, noisyShown = false, onWall = false;

function button(className, parent, text, act) {
  const node = make("button", className, parent, text);
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

function createPicture(pixels, { width, height }, label) {
  const canvas = make("canvas", "blind-picture");
  paint(canvas, pixels, width, height);
  if (label) {
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
  } else canvas.setAttribute("aria-hidden", "true"); // its button has the name
  return canvas;
}

function heading(text, parent = body) {
  const title = make("h3", "blind-title", parent, text);
  title.tabIndex = -1; // takes the focus when a round begins
  return title;
}

function vote(value, picture) {
  if (Date.now() - waiting < PATIENCE_MS) return;
  waiting = Date.now();
  body.querySelectorAll("[data-picture]").forEach((node) => {
    node.setAttribute("aria-pressed", String(Number(node.dataset.picture) === picture));
  });
  trigger("vote", { token: value.token, picture });
}

function drawRound(value) {
  heading(`Round ${value.number} of ${value.count}`);
  const photograph = value.question === "photograph";
  const noise = photograph ? `Two were restored from this noise: ${value.given}` : `Noise: ${value.given}`;
  make("p", "blind-given", body, `${noise}. ${value.asks}`);
  const group = make("div", "blind-pictures", body);
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Three pictures without names");
  value.pictures.forEach((pixels, index) => {
    const choice = button("blind-choice", group, undefined, () => vote(value, index + 1));
    choice.dataset.picture = index + 1;
    choice.setAttribute("aria-label", `Picture ${index + 1}`);
    choice.setAttribute("aria-pressed", "false");
    choice.append(createPicture(pixels, value));
    make("span", "blind-number", choice, String(index + 1));
  });
  const noisy = make("div", "blind-noisy", group);
  noisy.append(createPicture(value.noisy, value, photograph ? "The noisy picture that two were given" : "The noisy picture that all three were given"));
  make("span", "blind-number", noisy, "Noisy");
  const bar = make("div", "blind-bar", body);
  const unsure = button("blind-button", bar, "Can't tell", () => vote(value, 0));
  unsure.dataset.picture = 0;
  const toggle = button("blind-button", bar, "Show the noisy picture", () => showNoisy(!noisyShown));
  const showNoisy = (on) => {
    noisyShown = on;
    noisy.hidden = !on;
    toggle.setAttribute("aria-pressed", String(on));
  };
  showNoisy(noisyShown);
  make("p", "blind-hint blind-keys", body, "Keys: 1, 2 or 3 picks a picture, 0 is “can't tell”.");
  if (value.note) make("p", "blind-hint", body, value.note);
}

function table(parent, caption, titles) {
  const scroller = make("div", "blind-scroll scroller", parent);
  scroller.setAttribute("role", "region");
  scroller.setAttribute("aria-label", caption);
  const made = make("table", "blind-table", scroller);
  make("caption", "", made, caption);
  const line = make("tr", "", make("thead", "", made));
  titles.forEach((title) => { make("th", "cell", line, title).scope = "col"; });
  const rows = make("tbody", "", made);
  tellMore(scroller);
  return (name, cells) => {
    const row = make("tr", "", rows);
    make("th", "cell", row, name).scope = "row";
    cells.forEach((cell) => {
      const place = make("td", "cell", row);
      if (cell instanceof Node) place.append(cell);
      else place.textContent = cell;
    });
  };
}

function drawShare({ share, low, high, picks, range }) {
  const box = make("div", "blind-share");
  make("span", "blind-picks", box, `${picks} (${Math.round(100 * share)} %)`);
  const bar = make("span", "blind-gauge", box);
  bar.setAttribute("aria-hidden", "true"); // the numbers beside it say the same
  make("span", "blind-fill", bar).style.width = `${100 * share}%`;
  const span = make("span", "blind-range", bar);
  span.style.left = `${100 * low}%`;
  span.style.width = `${100 * (high - low)}%`;
  make("span", "blind-small", box, `likely ${range}`);
  return box;
}

// What the votes come to, in words; how often each was picked; and, for who opens it, the statistics.
function drawTally(value, parent = body) {
  make("p", "blind-headline", parent, value.headline);
  value.plain.forEach((sentence) => make("p", "blind-plain", parent, sentence));
  if (!value.standings.length) return;
  const who = value.whose;
  const measures = value.agreements.map(({ label }) => label);
  const photograph = value.question === "photograph";
  const caption = `How often each ${photograph ? "was taken for the photograph" : "method was picked"} when it was shown`;
  const addStanding = table(parent, caption, [photograph ? "Picture" : "Method", who, ...measures]);
  for (const row of value.standings) addStanding(`${row.rank}. ${row.label}`, [drawShare(row), ...row.measures]);
  const more = make("details", "blind-more", parent);
  make("summary", "", more, "The statistics behind it");
  if (measures.length) drawAgreements(value, who, more);
  const notes = make("ul", "blind-notes", more);
  value.notes.forEach((note) => make("li", "", notes, note));
}

function drawAgreements(value, who, parent) {
  const same = who === "You" ? "Same pick as you" : "Same pick as the class";
  const addAgreement = table(parent, "Do the measures agree?", ["Measure", same, "As often by luck", "Rank correlation τ"]);
  for (const row of value.agreements) addAgreement(row.label, [row.same, row.luck, row.tau]);
}

function drawResults(value) {
  heading(value.question === "photograph" ? "What your eye takes for real" : "How your eye ranks the methods");
  drawTally(value);
  if (value.note) make("p", "blind-hint", body, value.note);
  make("h4", "blind-subtitle", body, "Which was which?");
  const bar = make("div", "blind-bar", body);
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Rounds to look back at");
  value.rounds.forEach((picked, index) => {
    const one = button("blind-button blind-round", bar, String(index + 1), () => trigger("unmask", { round: index + 1 }));
    one.setAttribute("aria-label", `Round ${index + 1}: ${picked}`);
    one.dataset.round = index + 1;
  });
  make("div", "blind-look", body).setAttribute("aria-live", "polite");
  button("blind-button blind-again", body, "Again, with other faces", () => trigger("again"));
}

function drawLook(look) {
  body.querySelectorAll(".blind-round").forEach((one) => {
    one.setAttribute("aria-pressed", String(Boolean(look) && Number(one.dataset.round) === look.number));
  });
  const place = body.querySelector(".blind-look");
  place.replaceChildren();
  if (!look) {
    make("p", "blind-hint", place, "Choose a round to see its methods and scores.");
    return;
  }
  make("p", "blind-given", place, `Round ${look.number}. ${look.given}.`);
  const list = make("ul", "blind-pictures is-named", place);
  for (const { label, pixels, picked, scores } of look.cards) {
    const card = make("li", picked ? "blind-card is-picked" : "blind-card", list);
    card.append(createPicture(pixels, look, label));
    make("strong", "", card, label);
    const numbers = make("dl", "", card);
    for (const score of scores) {
      const row = make("div", "", numbers);
      make("dt", "", row, score.label);
      make("dd", "", row, score.best ? `★ ${score.text}` : score.text);
    }
    if (picked) make("span", "blind-badge", card, "your pick");
  }
  const others = [["Noisy", look.noisy]];
  if (!look.photograph) others.push(["Clean", look.clean]);
  for (const [label, pixels] of others) {
    const card = make("li", "blind-card", list);
    card.append(createPicture(pixels, look, label));
    make("strong", "", card, label);
  }
  if (!look.photograph) make("p", "blind-hint", place, "★ is the measure's own pick: highest PSNR, highest SSIM, sharpness nearest to 1.");
}

function drawClass(value) {
  const teaches = Boolean(value.key);
  const invites = teaches && value.open && !value.revealed;
  const top = invites ? make("div", "class-poster", body) : body;
  const title = heading(value.open ? "Class " : "Class, closed: ", top);
  make("span", "class-letters", title, value.code);
  if (invites) drawInvitation(value, top);
  make("p", "blind-hint", body, value.about);
  if (teaches) drawDesk(value);
  else drawSeat(value);
}

function drawInvitation({ link, qr, code }, poster) {
  if (qr) {
    const square = make("canvas", "class-qr", poster);
    paint(square, qr.pixels, qr.side, qr.side);
    square.setAttribute("role", "img");
    square.setAttribute("aria-label", `QR code of the link to class ${code}`);
  }
  const way = make("p", "blind-hint class-way", poster, link ? "Scan the code, open " : "Enter the code in this tab.");
  if (!link) return;
  const anchor = make("a", "blind-link", way, link);
  anchor.href = link;
  way.append(" or enter the letters in this tab.");
  if (/^(localhost|127\.|\[::1\])/.test(location.hostname)) {
    make("p", "blind-hint class-way", poster, "This address works on this computer only. For other devices, open the page at one that they can reach.");
  }
}

// The teacher's part: how many there are, what to do, and the results once they are revealed.
function drawDesk(value) {
  const counts = make("p", "blind-votes", body);
  ["joined", "answered", "votes"].forEach((name) => { make("span", `class-${name}`, counts); });
  const bar = make("div", "blind-bar", body);
  if (value.revealed) {
    button("blind-button", bar, "Download CSV", () => trigger("save"));
    button("blind-button", bar, "Hide the results", () => trigger("reveal", { reveal: false }));
  } else button("blind-button is-primary", bar, "Reveal the results", () => trigger("reveal", { reveal: true }));
  button("blind-button class-wall", bar, "", () => showOnWall(!onWall));
  showOnWall(onWall);
  if (value.revealed) drawTally(value);
  else make("p", "blind-hint", body, "Nobody sees the results before you reveal them. From then on no pick counts.");
  if (!value.open) return;
  const secret = make("details", "blind-secret", body);
  make("summary", "", secret, "For you alone: your way back in");
  make("p", "blind-hint", secret, `Enter ${value.key} as the code, after a reload or on another device.`);
}

function drawCounts({ joined, answered, votes }) {
  const write = (name, text) => { body.querySelector(`.class-${name}`).textContent = text; };
  write("joined", `${joined} joined`);
  write("answered", `${answered} ${answered === 1 ? "has" : "have"} picked`);
  write("votes", `${votes} ${votes === 1 ? "vote" : "votes"} so far`);
}

function drawSeat(value) {
  const now = value.open ? "You are in: your picks are added up without a name." : "It takes no more votes.";
  make("p", "blind-hint", body, value.revealed ? "The class shows its results." : now);
  if (!value.revealed) return;
  const results = make("details", "class-results", body); // closed: a round below may be under way, and stays in its place
  make("summary", "", results, "What the class picked");
  drawTally(value, results);
}

// A teacher's key outlives a reload of the page, and goes with the browser's tab. A frame may not be allowed to keep it.
const KEPT = "class";
function keepKey(key) {
  try {
    if (key) sessionStorage.setItem(KEPT, key);
    else sessionStorage.removeItem(KEPT);
  } catch { /* it has to be entered then */ }
}
function resumeClass() {
  let key = null;
  try { key = sessionStorage.getItem(KEPT); } catch { /* none was kept */ }
  if (key) trigger("resume", { key, address: location.origin + location.pathname });
}

// For a room: the class alone, with large text. Where the browser gives no full screen, it fills the page.
function showOnWall(now) {
  const before = onWall;
  onWall = now;
  root.classList.toggle("is-wall", now);
  const toggle = body.querySelector(".class-wall");
  if (toggle) toggle.textContent = now ? "Leave the full screen" : "Fill the screen";
  if (now === before) return;
  fillScreen(root, now);
}

const DRAW = {
  round: drawRound,
  results: drawResults,
  class: drawClass,
  idle: (value) => make("p", "blind-idle", body, value.text),
};

function say(text) {
  status.textContent = text;
  status.hidden = !text;
}

// What would be drawn the same is left alone: it may hold the focus, or a selection.
function draw() {
  const value = props.value || {};
  waiting = 0;
  if (value.error) {
    say(value.error);
    return false;
  }
  say(value.warning || "");
  if (!value.phase) return false;
  const before = root.dataset.phase;
  const { version, look, invited, joined, answered, votes, ...rest } = value;
  const now = JSON.stringify(rest);
  const isNew = now !== shown;
  if (isNew) {
    const open = [...body.querySelectorAll("details[open]")].map(({ className }) => className);
    const acted = body.contains(document.activeElement);
    shown = now;
    root.dataset.phase = value.phase;
    body.replaceChildren();
    DRAW[value.phase](value);
    body.querySelectorAll("details").forEach((part) => { part.open = open.includes(part.className); });
    if (value.phase !== "class") showOnWall(false);
    else if (acted) body.querySelector(".blind-title").focus({ preventScroll: true }); // its button is gone
  }
  if (value.phase === "class" && value.key) drawCounts(value);
  if (value.phase === "class") keepKey(value.open ? value.key : "");
  else if (before === "class") keepKey("");
  if (value.phase === "results") drawLook(look);
  return isNew;
}

// Keys pick a picture wherever the focus is in the tab, but where they write text.
function hearsKeys({ target }) {
  const here = target === document.body || root.closest("#tabs").contains(target);
  const covered = document.querySelector(".blind.is-wall");
  return root.dataset.phase === "round" && root.offsetParent && here && !covered && !target.matches(WRITTEN);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !hearsKeys(event)) return;
  if (["0", "1", "2", "3"].includes(event.key)) body.querySelector(`[data-picture="${event.key}"]`).click();
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && onWall) showOnWall(false); });
document.addEventListener("fullscreenchange", () => { if (!document.fullscreenElement && onWall) showOnWall(false); });

function follow() {
  const before = root.dataset.phase;
  if (!draw()) return;
  const { phase, key, invited } = props.value;
  const starts = phase === "class" && before !== phase && key; // who joins one has a round to look at
  if (!starts && !["round", "results"].includes(phase)) return;
  if (document.activeElement.matches("input, textarea, select")) return; // a text is being typed
  const title = body.querySelector(".blind-title");
  title.focus({ preventScroll: true });
  if (invited) return; // it began by itself: the page stays where it is
  root.scrollIntoView({ block: "nearest" });
  if (root.getBoundingClientRect().top < 0 || phase !== "round") title.scrollIntoView({ block: "nearest" });
}

watch("value", follow);
follow(); // a class's link has begun a round before its tab was open
if (element.closest("#blind-board")) resumeClass();
