// Comes before every other script of the page: how they make elements and paint pictures.
function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

// Where keys write text, and so do nothing else.
const WRITTEN = "textarea, select, input:not([type=radio], [type=checkbox], [type=range])";

// A payload of payload.write_payload: text, which Gradio hands on as it is. It copies objects leaf by leaf.
function readPayload(text) {
  return text ? JSON.parse(text) : null;
}

// Bytes that came as base64. A loop: Uint8Array.from with a function is much slower.
function decode(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

// Pixels as payload.encode_pixels writes them: 8 bits, gray or RGB.
function paint(canvas, pixels, width, height) {
  const bytes = decode(pixels);
  const channels = bytes.length / (width * height);
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[channels * i + (c % channels)];
    image.data[4 * i + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Gives a node the whole screen, or gives that back. Where the browser gives none, as in a frame that may not have it,
// nothing happens.
function fillScreen(node, now) {
  if (now) node.requestFullscreen?.().catch(() => {});
  else if (document.fullscreenElement) document.exitFullscreen();
}

// A box that scrolls tells the style sheet at which of its edges there is more, as data-more="right bottom". Only
// one that has more somewhere is a stop for the keyboard.
function tellMore(box) {
  const tell = () => {
    const edges = [
      ["left", box.scrollLeft > 1],
      ["right", box.scrollLeft + box.clientWidth < box.scrollWidth - 1],
      ["top", box.scrollTop > 1],
      ["bottom", box.scrollTop + box.clientHeight < box.scrollHeight - 1],
    ];
    const more = edges.filter(([, is]) => is).map(([edge]) => edge).join(" ");
    if (box.dataset.more === more) return;
    box.dataset.more = more;
    if (more) box.tabIndex = 0;
    else if (document.activeElement !== box) box.removeAttribute("tabindex");
  };
  box.addEventListener("scroll", tell, { passive: true });
  const sizes = new ResizeObserver(tell);
  sizes.observe(box);
  sizes.observe(box.firstElementChild);
}
