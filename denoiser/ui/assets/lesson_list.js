// Paints the list of lessons. Given by Gradio: element, props, watch, trigger.
// A value is {said, lessons: [{id, number, title, minutes, mark, spoken, open}]}.
const list = element.querySelector(".lesson-list");
const said = element.querySelector(".lesson-said");

function part(tag, className, text, parent) {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  parent.append(node);
  return node;
}

function createItem({ id, number, title, minutes, mark, spoken, open }) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.lesson = id;
  button.setAttribute("aria-label", `Lesson ${number}: ${title}, ${minutes} minutes${spoken ? `, ${spoken}` : ""}`);
  if (open) button.setAttribute("aria-current", "step");
  part("span", "lesson-number", number, button);
  part("span", "lesson-title", title, button);
  part("span", "lesson-minutes", `${minutes} min`, button);
  part("span", "lesson-mark", mark, button);
  button.addEventListener("click", () => trigger("select", { id }));
  item.append(button);
  return item;
}

function draw() {
  const value = props.value || {};
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.lesson : null;
  list.replaceChildren(...(value.lessons || []).map(createItem));
  if (focused) list.querySelector(`[data-lesson="${CSS.escape(focused)}"]`)?.focus();
  said.textContent = value.said || "";
}
watch("value", draw);
draw();
