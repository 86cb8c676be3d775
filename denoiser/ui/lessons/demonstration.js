// Paints a lesson's demonstration. Given by Gradio: element, props, watch.
// A value is {pending, groups: [{title, pictures}], tables: [{caption, columns, rows}], remarks}.
const root = element.querySelector(".lesson-demo");

function drawPicture(picture, parent) {
  const figure = make("figure", "lesson-picture", parent);
  const canvas = make("canvas", "lesson-canvas", figure);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", picture.label);
  paint(canvas, picture.pixels, picture.width, picture.height);
  const caption = make("figcaption", "", figure);
  make("strong", "", caption, picture.label);
  picture.lines.forEach((text, index) => {
    const line = make("span", "lesson-line", caption, text);
    if (index === 0 && picture.best) make("span", "lesson-best", line, "★ best");
  });
}

function drawTable({ caption, columns, rows }, parent) {
  make("h4", "", parent, caption); // not in the table, which may be wider than a phone
  const scroller = make("div", "lesson-scroll scroller", parent);
  scroller.setAttribute("role", "region");
  scroller.setAttribute("aria-label", caption);
  const table = make("table", "lesson-table", scroller);
  table.setAttribute("aria-label", caption);
  table.classList.toggle("is-wide", columns.length > 2);
  const head = make("tr", "", table.createTHead());
  for (const name of columns) make("th", "cell", head, name).scope = "col";
  const body = table.createTBody();
  for (const row of rows) {
    const line = make("tr", "", body);
    row.forEach((text, index) => {
      const cell = make(index ? "td" : "th", "cell", line, text);
      if (!index) cell.scope = "row";
    });
  }
  tellMore(scroller);
}

function draw() {
  const value = props.value || {};
  root.replaceChildren();
  root.setAttribute("aria-busy", String(Boolean(value.pending)));
  root.dataset.lesson = value.lesson || "";
  if (value.pending) make("p", "lesson-pending", root, "Computing from your face…").setAttribute("role", "status");
  for (const { title, pictures } of value.groups || []) {
    make("h4", "", root, title);
    const row = make("div", "lesson-pictures", root);
    for (const picture of pictures) drawPicture(picture, row);
  }
  const said = make("div", "lesson-remarks", root);
  said.setAttribute("role", "status");
  for (const remark of value.remarks || []) make("p", "", said, remark);
  for (const table of value.tables || []) drawTable(table, root);
}
watch("value", draw);
draw();
