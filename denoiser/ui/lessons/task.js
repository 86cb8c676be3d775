// Shows a lesson's task above the comparison, and knows the way there and back. It stands where every page has it,
// which the lessons' tab is not before it is opened. Given by Gradio: element, props, watch, trigger.
// A value is {lesson, number, title, kind, text}, or empty.
const PATIENCE = 600; // frames, for the lesson to be there again
const root = element.querySelector(".task");
const find = (name) => root.querySelector(".task-" + name);
const spots = new Map(); // where in the window the button was by which a lesson was left

const listed = () => document.querySelector(".lesson-list [aria-current]")?.dataset.lesson;
const way = () => document.querySelector("#lesson-compare");

function openTab(id) {
  document.querySelector(`#tabs [role="tablist"] [data-tab-id="${id}"]`).click();
}

function draw() {
  const { lesson = "", number, title, kind, text } = props.value || {};
  root.hidden = !lesson;
  root.dataset.lesson = lesson;
  if (lesson) {
    find("title").textContent = `Lesson ${number}: ${title}.`;
    find("kind").textContent = kind;
    find("text").textContent = text;
    find("back").textContent = `Back to lesson ${number}`;
  }
  root.dispatchEvent(new CustomEvent("lesson", { bubbles: true, detail: { turned: false } }));
}

function leaveLesson() {
  spots.set(listed(), way().getBoundingClientRect().top);
  openTab("compare");
  window.scrollTo(0, 0);
  whenSo(() => root.offsetParent, () => root.focus({ preventScroll: true }));
}

// Open a lesson; once it is there, its button is where it was in the window.
function openLesson(lesson, spot) {
  if (listed() !== lesson) trigger("open", { id: lesson });
  if (spot === undefined) return;
  whenSo(() => listed() === lesson && way()?.offsetParent, () => {
    window.scrollBy(0, way().getBoundingClientRect().top - spot);
    way().focus({ preventScroll: true });
  });
}

function whenSo(test, act, frames = PATIENCE) {
  requestAnimationFrame(() => {
    if (test()) act();
    else if (frames) whenSo(test, act, frames - 1);
  });
}

document.addEventListener("leave-lesson", leaveLesson);
document.addEventListener("go-back", ({ detail: { tab, lesson } }) => {
  if (tab === "lessons" && lesson) openLesson(lesson, spots.get(lesson));
  if (tab === "compare" && lesson !== root.dataset.lesson) trigger("assign", { id: lesson });
});
find("back").addEventListener("click", () => {
  const { lesson } = root.dataset;
  openTab("lessons");
  openLesson(lesson, spots.get(lesson) ?? window.innerHeight / 2);
});
find("close").addEventListener("click", () => {
  trigger("assign", { id: "" });
  document.querySelector('#tabs [role="tablist"] [data-tab-id="compare"]').focus();
});
watch("value", draw);
draw();
