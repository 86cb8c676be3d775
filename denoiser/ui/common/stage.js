// The stage: two pictures of a comparison, large, side by side or one over the other. It knows no Gradio.
const ZOOMS = [1, 2, 4, 8, 16];
const DIFFERENCE_MAX = 32; // of 255: where the difference's black and white lie

const clamp = (share) => Math.min(Math.max(share, 0), 1);

// Arguments: the stage's element; what is called with the id of a picture that is put on it.
// show() takes everything there is to choose from, as a list of
// {id, label, numbers, gain, rank, isForOther, pixels, width, height, paint(canvas)}: a rank is the number to be best by, and
// is missing where there is none; pixels have one channel or three; paint() paints the picture in the view that the page
// shows. And what they are of: {face, noise, isResidual}, of which the face tells one from another, the noise is in words,
// and the last says that a difference is what was taken away, and not how far one is from the other.
function createStage(root, onChoose) {
  const find = (name) => root.querySelector(".stage-" + name);
  const pictures = find("pictures"), menu = find("reference"), wipe = find("wipe");
  const [left, right] = [...root.querySelectorAll(".stage-figure")].map((figure) => ({
    figure,
    canvas: figure.querySelector("canvas"),
    name: figure.querySelector("strong"),
    numbers: figure.querySelector(".stage-numbers"),
  }));
  let shown = [], about = {}, chosen = null, reference = "noisy", zoom = 0, held = false;
  let kept = null; // a picture as it was, under other noise
  let mode = matchMedia("(max-width: 799px)").matches ? "wipe" : "side"; // two beside each other would be small
  let origin = [0.5, 0.5]; // what stays where it is when the pictures are enlarged, of 1

  const offered = () => (kept ? [...shown, kept] : shown);
  const get = (id) => offered().find((picture) => picture.id === id);
  const methods = () => shown.filter(({ id }) => id !== "clean" && id !== "noisy");

  // Where the chosen one is not shown any more, the first method is on the stage.
  const result = () => get(chosen) || methods()[0] || get("noisy");
  const other = () => get(reference) || get("noisy");

  function paintDifference(canvas, one, two) {
    canvas.width = one.width;
    canvas.height = one.height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(one.width, one.height);
    const count = one.width * one.height, channels = one.pixels.length / count;
    for (let i = 0; i < count; i++) {
      for (let c = 0; c < 3; c++) {
        const at = channels * i + (c % channels);
        image.data[4 * i + c] = Math.round(127.5 + (127.5 * (one.pixels[at] - two.pixels[at])) / DIFFERENCE_MAX); // clamped
      }
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  function fill(place, picture) {
    picture.paint(place.canvas);
    place.canvas.setAttribute("aria-label", `${picture.label}${picture.numbers ? `, ${picture.numbers}` : ""}`);
    place.name.textContent = picture.label;
    place.numbers.textContent = picture.numbers;
  }

  function writeMenu() {
    const wanted = offered().map(({ id, label }) => [id, label]);
    if (JSON.stringify(wanted) === menu.dataset.wanted) return;
    menu.dataset.wanted = JSON.stringify(wanted);
    menu.replaceChildren(...wanted.map(([id, label]) => {
      const option = make("option", "", null, label);
      option.value = id;
      return option;
    }));
  }

  function draw() {
    const one = result(), two = other();
    root.hidden = !one || !two;
    if (root.hidden) return;
    writeMenu();
    menu.value = two.id;
    pictures.dataset.mode = mode;
    wipe.hidden = mode !== "wipe";
    fill(left, two);
    fill(right, held ? two : one);
    right.figure.dataset.shown = one.id;
    if (mode === "difference") {
      const isResidual = about.isResidual && two.id === "noisy";
      const pair = [held ? two : one, two];
      paintDifference(right.canvas, ...(isResidual ? pair.reverse() : pair));
      right.numbers.textContent = isResidual
        ? "what it takes away, four times: it should be noise alone, without outlines of the picture"
        : `less ${two.label}, four times: mid-gray is alike, white 32 of 255 brighter or more`;
    }
    find("verdict").textContent = verdict(one);
    root.querySelectorAll(".stage-step").forEach((button) => { button.disabled = methods().length < 2; });
  }

  // In one sentence: who gains most, where the picture on the stage stands, and who is made for other noise.
  function verdict(one) {
    const ranked = methods().filter(({ rank }) => rank !== undefined).sort((a, b) => b.rank - a.rank);
    if (!ranked.length) return "";
    const [best, next] = ranked;
    const lead = `${best.label} is closest here: ${best.gain}`;
    const parts = [lead];
    if (one.id !== best.id && one.rank !== undefined) parts.push(`${one.label} is number ${ranked.indexOf(one) + 1} of ${ranked.length} with ${one.gain}`);
    else if (next) parts.push(`next is ${next.label} with ${next.gain}`);
    const others = ranked.filter(({ isForOther }) => isForOther).map(({ label }) => label);
    if (one.isForOther) parts.push("it is made for other noise");
    else if (others.length === 1) parts.push(`${others[0]} is made for other noise`);
    else if (others.length) parts.push(`${others.length} methods are made for other noise`);
    return `${parts.join("; ")}.`;
  }

  function place() {
    const [x, y] = origin.map((part) => `${100 * part}%`);
    for (const { canvas } of [left, right]) {
      canvas.style.transformOrigin = `${x} ${y}`;
      canvas.style.transform = ZOOMS[zoom] === 1 ? "" : `scale(${ZOOMS[zoom]})`;
    }
    find("zoom").textContent = `${ZOOMS[zoom]}×`;
    find("closer").disabled = zoom === ZOOMS.length - 1;
    find("farther").disabled = zoom === 0;
  }

  function setWipe(share) {
    wipe.value = Math.round(100 * clamp(share));
    pictures.style.setProperty("--wipe", `${wipe.value}%`);
  }

  function hold(now) {
    if (held === now) return;
    held = now;
    find("flicker").setAttribute("aria-pressed", String(held));
    draw();
  }

  function choose(id) {
    chosen = id;
    draw();
    onChoose(result().id);
  }

  // For two noises side by side, on the same face.
  function keep() {
    const one = result();
    kept = { ...one, id: "kept", label: `Kept: ${one.label}`, numbers: [about.noise, one.numbers].filter(Boolean).join("; "), face: about.face };
    reference = kept.id;
    draw();
  }

  function step(by) {
    const ids = methods().map(({ id }) => id);
    if (ids.length) choose(ids[(ids.indexOf(result().id) + by + ids.length) % ids.length]);
  }

  function follow(event, frame) {
    const box = frame.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    if (mode === "wipe" && event.buttons) return setWipe(x);
    if (zoom === 0) return;
    origin = [x, y].map(clamp);
    place();
  }

  const MOVES = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  function press(event) {
    const move = MOVES[event.key];
    if (!move || zoom === 0) return;
    event.preventDefault();
    const { width, height } = left.canvas;
    origin = [origin[0] + move[0] / width, origin[1] + move[1] / height].map(clamp);
    place();
  }

  menu.addEventListener("change", () => { reference = menu.value; draw(); });
  root.querySelectorAll(".stage-modes input").forEach((input) => {
    input.checked = input.value === mode;
    input.addEventListener("change", () => { mode = input.value; draw(); });
  });
  wipe.addEventListener("input", () => setWipe(wipe.value / 100));
  for (const frame of root.querySelectorAll(".stage-frame")) {
    frame.addEventListener("pointermove", (event) => follow(event, frame));
    frame.addEventListener("pointerdown", (event) => follow(event, frame));
  }
  pictures.addEventListener("keydown", press);
  const flicker = find("flicker");
  flicker.addEventListener("pointerdown", () => hold(true));
  for (const name of ["pointerup", "pointercancel", "pointerleave", "blur"]) flicker.addEventListener(name, () => hold(false));
  // A key held on the button, or F wherever no text is written.
  const isFlicker = (event) => (event.target === flicker ? [" ", "Enter", "f"] : ["f"]).includes(event.key)
    && pictures.offsetParent && !event.target.matches(WRITTEN)
    && !(event.ctrlKey || event.metaKey || event.altKey);
  document.addEventListener("keydown", (event) => {
    if (!isFlicker(event)) return;
    event.preventDefault();
    hold(true);
  });
  document.addEventListener("keyup", () => hold(false));
  find("smooth").addEventListener("click", () => {
    find("smooth").setAttribute("aria-pressed", String(pictures.classList.toggle("is-smooth")));
  });
  for (const [name, by] of [["closer", 1], ["farther", -1]]) {
    find(name).addEventListener("click", () => { zoom += by; place(); });
  }
  for (const [name, by] of [["previous", -1], ["next", 1]]) find(name).addEventListener("click", () => step(by));
  find("keep").addEventListener("click", keep);
  find("hint").hidden = !matchMedia("(pointer: coarse)").matches;
  // What scrolls below the stage is to come to rest under it, not behind it.
  new ResizeObserver(() => {
    root.parentElement.style.setProperty("--stage-height", `${root.offsetHeight}px`);
  }).observe(root);
  setWipe(0.5);
  place();
  return {
    choose,
    isEnlarged: () => zoom > 0,
    step,
    show(all, now) {
      [shown, about] = [all, now];
      if (kept && kept.face !== about.face) kept = null;
      draw();
      if (shown.length) onChoose(result().id);
    },
  };
}
