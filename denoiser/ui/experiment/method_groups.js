// Writes a heading above the first method of each group. Given by Gradio: element, props. Its value is a list of
// [title, count], in the order of the boxes, which are another component's: they are there once the page is.
function write() {
  const labels = [...document.querySelectorAll("#methods .wrap > label")];
  if (!labels.length) return void (element.isConnected && setTimeout(write, 100));
  let first = 0;
  for (const [title, count] of props.value) {
    labels[first].before(make("span", "method-group", null, title));
    first += count;
  }
}
write();
