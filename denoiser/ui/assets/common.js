// Comes before every other script of the page: how they make elements and paint pictures.
function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

// Pixels as payload.encode_pixels writes them: 8 bits, gray or RGB.
function paint(canvas, pixels, width, height) {
  const bytes = atob(pixels);
  const channels = bytes.length / (width * height);
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes.charCodeAt(channels * i + (c % channels));
    image.data[4 * i + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}
