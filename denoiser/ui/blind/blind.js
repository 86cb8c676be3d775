// Paints the blind test: a round, its results, or a class. Given by Gradio: element, props, watch, trigger.
const root = element.querySelector(".blind");
const status = root.querySelector(".blind-status");
const body = root.querySelector(".blind-body");
const PATIENCE_MS = 4000; // after which a click that had no answer may be repeated
let shown = "", waiting = 0, noisyShown = false;

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

function heading(text) {
  const title = make("h3", "blind-title", body, text);
  title.tabIndex = -1; // takes the focus when a round begins, so that the keys work
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

function table(caption, titles) {
  const scroller = make("div", "blind-scroll", body);
  scroller.tabIndex = 0;
  scroller.setAttribute("role", "region");
  scroller.setAttribute("aria-label", caption);
  const made = make("table", "blind-table", scroller);
  make("caption", "", made, caption);
  const line = make("tr", "", make("thead", "", made));
  titles.forEach((title) => { make("th", "cell", line, title).scope = "col"; });
  const rows = make("tbody", "", made);
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

function drawTally(value) {
  make("p", "blind-headline", body, value.headline);
  if (!value.standings.length) return;
  const who = value.whose;
  const measures = value.agreements.map(({ label }) => label);
  const photograph = value.question === "photograph";
  const caption = `How often each ${photograph ? "was taken for the photograph" : "method was picked"} when it was shown`;
  const addStanding = table(caption, [photograph ? "Picture" : "Method", who, ...measures]);
  for (const row of value.standings) addStanding(`${row.rank}. ${row.label}`, [drawShare(row), ...row.measures]);
  if (measures.length) drawAgreements(value, who);
  const notes = make("ul", "blind-notes", body);
  value.notes.forEach((note) => make("li", "", notes, note));
}

function drawAgreements(value, who) {
  const same = who === "You" ? "Same pick as you" : "Same pick as the class";
  const addAgreement = table("Do the measures agree?", ["Measure", same, "As often by luck", "Rank correlation τ"]);
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
  const says = value.open ? "Class" : "Class, closed:";
  heading(`${says} ${value.code}`);
  make("p", "blind-hint", body, value.about);
  if (value.key && value.open) {
    const link = new URL(location.pathname, location.href);
    link.searchParams.set(value.parameter, value.code);
    make("p", "blind-hint", body, "Students open this link, or enter the code here:");
    const anchor = make("a", "blind-link", body, link.href);
    anchor.href = link.href;
    const secret = make("details", "blind-secret", body);
    make("summary", "", secret, "For you alone: your way back in");
    make("p", "blind-hint", secret, `Enter ${value.key} as the code, after a reload or on another device.`);
  } else if (!value.key) {
    const now = value.open ? "You are in: your picks are added up without a name." : "It takes no more votes.";
    make("p", "blind-hint", body, now);
  }
  if (!value.key) return;
  make("p", "blind-votes", body, `${value.votes} ${value.votes === 1 ? "vote" : "votes"} so far`);
  drawTally(value);
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
  const { version, look, invited, ...rest } = value;
  const now = JSON.stringify(rest);
  const isNew = now !== shown;
  if (isNew) {
    const open = Boolean(body.querySelector("details[open]"));
    shown = now;
    root.dataset.phase = value.phase;
    body.replaceChildren();
    DRAW[value.phase](value);
    if (open && body.querySelector("details")) body.querySelector("details").open = true;
  }
  if (value.phase === "results") drawLook(look);
  return isNew;
}

root.addEventListener("keydown", (event) => {
  if (root.dataset.phase !== "round" || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (!"0123".includes(event.key) || !event.key) return;
  const choice = body.querySelector(`[data-picture="${event.key}"]`);
  if (choice) choice.click();
});

function follow() {
  if (!draw() || !["round", "results"].includes(props.value.phase)) return;
  if (document.activeElement.matches("input, textarea, select")) return; // a text is being typed
  const title = body.querySelector(".blind-title");
  title.focus({ preventScroll: true });
  if (props.value.invited) return; // opened by a link: the page stays where it is
  root.scrollIntoView({ block: "nearest" });
  if (root.getBoundingClientRect().top < 0 || props.value.phase === "results") title.scrollIntoView({ block: "nearest" });
}

watch("value", follow);
follow(); // a class's link has begun a round before its tab was open
