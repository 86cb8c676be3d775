// Keeps the page's address in step with the experiment and with what is open, and copies the link. The grid's
// script says what the experiment is. Given by Gradio: element, props, watch, trigger.
const WRITE_MS = 400; // after the last change; browsers allow about three new addresses a second
const FRAME = { width: 800, height: 600 }; // of the embed code
const wholeLab = document.querySelector("#whole-lab a");
const { keys } = props.value;
const tabs = element.closest("#tabs");
// As the server has decided, which lets other sites show that alone: is_embedded in security.py.
const embedded = document.documentElement.classList.contains("is-embedded");
let first = ""; // what the page started with; its address is left alone until that changes, or the tab
let copied = null; // the link that is spoken of, and where
let changed = false, writeTimer = 0;
let entry = { tab: "compare", lesson: "" }; // what the browser's present entry of the history is about
let starting = true; // until the tab that the page was opened with is open: nobody turned to it

// Read off the page: Gradio's events of the tabs wait for what a tab loads, and come in another order.
const openTab = () => tabs.querySelector('[role="tab"][aria-selected="true"]')?.dataset.tabId || "compare";
const shown = () => document.querySelector("#comparison .lab")?.dataset || {};
// The lesson that is open, or the one whose task stands above the comparison.
const LESSONS = { lessons: ".lesson-list [aria-current]", compare: ".task" };
const openLesson = () => (LESSONS[openTab()] && document.querySelector(LESSONS[openTab()])?.dataset.lesson) || "";

// The query of what the pictures show; empty before there are any.
function query() {
  const { link = "", view = "picture" } = shown();
  return link && view !== "picture" ? `${link}&show=${view}` : link;
}

// The query of what is open; nothing for the comparison alone.
function place() {
  const tab = openTab(), lesson = openLesson();
  if (lesson) return `tab=${tab}&lesson=${lesson}`;
  return tab === "compare" ? "" : `tab=${tab}`;
}

function followExperiment() {
  if (!query()) return;
  if (copied && copied.link !== link()) forget();
  first ||= query();
  changed ||= query() !== first || place() !== "";
  clearTimeout(writeTimer);
  showWholeLab();
  if (openTab() === (props.value.openTab || "compare")) {
    if (starting) entry.tab = openTab();
    starting = false;
  }
  if (starting) return;
  if (openTab() !== entry.tab) return turn();
  entry.lesson = openLesson();
  if (changed) writeTimer = setTimeout(writeAddress, WRITE_MS);
}

// A lesson was opened or brought back, or its task came or went. Only where somebody turned to another one is that
// another entry of the history.
function followLesson({ detail: { turned } }) {
  if (turned && openTab() === entry.tab && entry.lesson && entry.lesson !== openLesson()) turn();
  else followExperiment();
}

// Another tab or lesson is another entry of the history: Back is back. The experiment stays as it is now.
function turn() {
  window.history.pushState(window.history.state, "", window.location.href);
  entry = { tab: openTab(), lesson: openLesson() };
  writeAddress();
}

function goBack() {
  const address = new URLSearchParams(window.location.search);
  const lesson = address.get("lesson") || "";
  entry = { tab: address.get("tab") || (lesson ? "lessons" : "compare"), lesson };
  if (entry.tab !== openTab()) {
    [...tabs.querySelectorAll('[role="tablist"] [role="tab"]')].find(({ dataset }) => dataset.tabId === entry.tab)?.click();
  }
  // The lessons' scripts know what to do.
  document.dispatchEvent(new CustomEvent("go-back", { detail: { ...entry } }));
}

// The whole address of what is open. What others put into it (Gradio its theme, a Space its signature) stays there.
function address(...more) {
  const others = new URLSearchParams(window.location.search);
  keys.forEach((key) => others.delete(key));
  const parts = [...more, others.toString(), query(), place()].filter(Boolean);
  return `?${parts.join("&")}${window.location.hash}`;
}

function writeAddress() {
  const note = document.querySelector("#link-note"); // it was about the link that was opened
  if (note && !props.value.waiting && query() !== first) note.hidden = true;
  window.history.replaceState(window.history.state, "", embedded ? address("embed=true") : address());
}

// A link to what is open, without what others put into the address.
function link(...more) {
  return `${window.location.origin}${window.location.pathname}?${[...more, query(), place()].filter(Boolean).join("&")}`;
}

function embedCode() {
  const source = link("embed=true").replaceAll("&", "&amp;");
  const size = `width="${FRAME.width}" height="${FRAME.height}"`;
  return `<iframe src="${source}" ${size} style="border: 0; max-width: 100%" allow="fullscreen" title="Face denoising lab"></iframe>`;
}

// Where it is said that a link was copied: in the tab that is open.
const copiedNote = () => document.querySelector(openTab() === "lessons" ? "#lesson-nav .share" : "#share .share");

// What is said stays until another thing is open: a reader of screens, or a slow one, is not timed.
function say(sentence) {
  copied = { link: link(), note: copiedNote() };
  copied.note.querySelector(".share-said").textContent = sentence;
}

function forget() {
  copied.note.querySelector(".share-said").textContent = "";
  copied.note.querySelector(".share-box").hidden = true;
  copied = null;
}

async function copy(name, text) {
  if (!query()) return;
  const own = shown().ownFace === "true"
    ? " Your own picture is not in the link: whoever opens it sees a sample face, with everything else the same."
    : "";
  if (copied) forget();
  try {
    await navigator.clipboard.writeText(text);
    say(`Copied.${own}`);
  } catch {
    // Without HTTPS, or where the page that frames this one forbids it.
    const box = copiedNote().querySelector(".share-box"), field = box.querySelector("input");
    box.hidden = false;
    box.querySelector("span").textContent = name;
    field.value = text;
    field.focus();
    field.select();
    say(`This browser doesn't let the page copy: copy the selected ${name.toLowerCase()}.${own}`);
  }
}

// The experiment of the address has been put into the controls; the view is set here.
function restore() {
  const value = props.value || {};
  const input = document.querySelector(`#comparison .lab-views input[value="${value.view || "picture"}"]`);
  if (value.view && input && !input.checked) {
    input.checked = true;
    input.dispatchEvent(new Event("change"));
  }
  if (value.openTab && value.openTab !== openTab()) trigger("open_tab", { tab: value.openTab });
}

// In another site's page the stage or the lesson stands alone, with a way to the rest.
function embed() {
  // Gradio puts each of the style sheet's rules below ".contain" too, where it weighs more.
  tabs.parentElement.classList.add("is-embedded");
  wholeLab.hidden = false;
  showWholeLab();
}

function showWholeLab() {
  if (embedded) wholeLab.href = address();
}

document.addEventListener("experiment", followExperiment);
document.addEventListener("lesson", followLesson);
new MutationObserver(followExperiment).observe(tabs, { subtree: true, attributeFilter: ["aria-selected"] });
document.addEventListener("copy-link", () => copy("Link", link()));
document.addEventListener("copy-frame", () => copy("Embed code", embedCode()));
window.addEventListener("popstate", goBack);
watch("value", restore);
if (embedded) embed();
followExperiment();
