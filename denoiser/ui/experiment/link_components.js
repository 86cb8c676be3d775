// Keeps the page's address in step with the experiment, and copies the link. The grid's script says
// what the experiment is. Given by Gradio: element, props, watch, trigger.
const WRITE_MS = 400; // after the last change; browsers allow about three new addresses a second
const said = element.querySelector(".share-said");
const box = element.querySelector(".share-box");
const { keys } = props.value;
const tabs = element.closest("#tabs");
let first = ""; // what the page started with; its address is left alone until that changes, or the tab
let copied = ""; // the link that is spoken of below the button
let changed = false, writeTimer = 0;
let entryTab = "compare"; // the tab that the browser's present entry of the history is about
let starting = true; // until the tab that the page was opened with is open: nobody turned to it

// Read off the page: Gradio's events of the tabs wait for what a tab loads, and come in another order.
const openTab = () => tabs.querySelector('[role="tab"][aria-selected="true"]')?.dataset.tabId || "compare";
const shown = () => document.querySelector("#comparison .lab")?.dataset || {};

// The query of what the pictures show; empty before there are any.
function query() {
  const { link = "", view = "picture" } = shown();
  return link && view !== "picture" ? `${link}&show=${view}` : link;
}

function followExperiment() {
  if (!query()) return;
  if (copied && copied !== query()) {
    say("");
    box.hidden = true;
  }
  first ||= query();
  changed ||= query() !== first || openTab() !== "compare";
  clearTimeout(writeTimer);
  if (openTab() === (props.value.openTab || "compare")) {
    if (starting) entryTab = openTab();
    starting = false;
  }
  if (!starting && openTab() !== entryTab) return turnTo(openTab());
  if (changed) writeTimer = setTimeout(writeAddress, WRITE_MS);
}

// Another tab is another entry of the history: Back is back. The experiment stays as it is now.
function turnTo(tab) {
  window.history.pushState(window.history.state, "", window.location.href);
  entryTab = tab;
  writeAddress();
}

function goBack() {
  const tab = new URLSearchParams(window.location.search).get("tab") || "compare";
  if (tab === openTab()) return;
  entryTab = tab;
  [...tabs.querySelectorAll('[role="tablist"] [role="tab"]')].find(({ dataset }) => dataset.tabId === tab)?.click();
}

function writeAddress() {
  const note = document.querySelector("#link-note"); // it was about the link that was opened
  if (note && !props.value.waiting && query() !== first) note.hidden = true;
  // What others put into the address (Gradio its theme, a Space its signature) stays there.
  const others = new URLSearchParams(window.location.search);
  keys.forEach((key) => others.delete(key));
  const tab = openTab();
  const parts = [others.toString(), query(), tab === "compare" ? "" : `tab=${tab}`].filter(Boolean);
  window.history.replaceState(window.history.state, "", `?${parts.join("&")}${window.location.hash}`);
}

// What is said stays until the experiment is another: a reader of screens, or a slow one, is not timed.
function say(sentence) {
  copied = sentence && query();
  said.textContent = sentence;
  said.hidden = sentence === "";
}

async function copyLink() {
  if (!query()) return;
  const { origin, pathname } = window.location;
  const link = `${origin}${pathname}?${query()}`;
  const own = shown().ownFace === "true"
    ? " Your own picture is not in the link: whoever opens it sees a sample face, with everything else the same."
    : "";
  say("");
  box.hidden = true;
  try {
    await navigator.clipboard.writeText(link);
    say(`Copied.${own}`);
  } catch {
    // Without HTTPS, or where the page that frames this one forbids it.
    const field = box.querySelector("input");
    box.hidden = false;
    field.value = link;
    field.focus();
    field.select();
    say(`This browser doesn't let the page copy: copy the selected link.${own}`);
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
  if (value.openTab) trigger("open_tab", { tab: value.openTab });
}

document.addEventListener("experiment", followExperiment);
new MutationObserver(followExperiment).observe(tabs, { subtree: true, attributeFilter: ["aria-selected"] });
document.addEventListener("copy-link", copyLink);
window.addEventListener("popstate", goBack);
watch("value", restore);
say("");
followExperiment();
