// Paints the list of lessons. Given by Gradio: element, props, watch, trigger.
// A value is {said, turned, lessons: [{id, number, title, minutes, mark, spoken, open}]}. It announces the open lesson,
// and whether somebody has turned to it, to the script that keeps the address.
const list = element.querySelector(".lesson-list");
const said = element.querySelector(".lesson-said");

function createItem({ id, number, title, minutes, mark, spoken, open }) {
  const item = make("li");
  const button = make("button", "", item);
  button.type = "button";
  button.dataset.lesson = id;
  button.setAttribute("aria-label", `Lesson ${number}: ${title}, ${minutes} minutes${spoken ? `, ${spoken}` : ""}`);
  if (open) button.setAttribute("aria-current", "step");
  make("span", "lesson-number", button, number);
  make("span", "lesson-title", button, title);
  make("span", "lesson-minutes", button, `${minutes} min`);
  make("span", "lesson-mark", button, mark);
  button.addEventListener("click", () => trigger("select", { id }));
  return item;
}

function draw() {
  const value = props.value || {};
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.lesson : null;
  list.replaceChildren(...(value.lessons || []).map(createItem));
  if (focused) list.querySelector(`[data-lesson="${CSS.escape(focused)}"]`)?.focus();
  said.textContent = value.said || "";
  list.dispatchEvent(new CustomEvent("lesson", { bubbles: true, detail: { turned: Boolean(value.turned) } }));
}
watch("value", draw);
draw();
