// Paints a table and sorts it. Given by Gradio: element, props, watch.
// A value is {columns: [{label, title, number, first}], rows: [[{sort, text, best}]]}.
const table = element.querySelector("table");
const head = table.createTHead();
const body = table.createTBody();
let sorted = { label: null, direction: null };

function compare(a, b, direction) {
  // What was not measured comes last, whatever the order.
  if (a === null || b === null) return (a === null) - (b === null);
  const order = typeof a === "string" ? a.localeCompare(b) : a - b;
  return direction === "descending" ? -order : order;
}

function createCell(tag, index, column) {
  const cell = make(tag, "cell");
  cell.classList.toggle("is-name", index === 0);
  cell.classList.toggle("is-number", column.number);
  return cell;
}

function createHeading(column, index) {
  const cell = createCell("th", index, column);
  cell.classList.add("is-head");
  cell.scope = "col";
  cell.title = column.title;
  const active = sorted.label === column.label;
  if (active) cell.setAttribute("aria-sort", sorted.direction);
  const button = make("button", "", cell, column.label);
  button.type = "button";
  const arrow = active ? (sorted.direction === "ascending" ? " ▲" : " ▼") : "";
  make("span", "", button, arrow).setAttribute("aria-hidden", "true");
  button.addEventListener("click", () => {
    const other = sorted.direction === "ascending" ? "descending" : "ascending";
    sorted = { label: column.label, direction: active ? other : column.first };
    draw();
    [...head.rows[0].cells].find((th) => th.getAttribute("aria-sort")).firstChild.focus();
  });
  return cell;
}

function createRow(row, columns) {
  const line = make("tr");
  row.forEach(({ text, best }, index) => {
    const cell = createCell(index ? "td" : "th", index, columns[index]);
    if (!index) cell.scope = "row";
    cell.textContent = text;
    cell.classList.toggle("is-best", Boolean(best));
    line.append(cell);
  });
  return line;
}

function draw() {
  const { columns = [], rows = [] } = props.value || {};
  const index = columns.findIndex((column) => column.label === sorted.label);
  const order = [...rows];
  if (index >= 0) order.sort((a, b) => compare(a[index].sort, b[index].sort, sorted.direction));
  const line = make("tr");
  line.append(...columns.map(createHeading));
  head.replaceChildren(line);
  body.replaceChildren(...order.map((row) => createRow(row, columns)));
}
watch("value", draw);
draw();
tellMore(table.parentElement);
