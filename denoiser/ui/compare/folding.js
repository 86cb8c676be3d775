// On a narrow page, what stands below the stage and the noise is folded until its heading is touched. Given by Gradio:
// element.
const narrow = matchMedia("(max-width: 799px)");

function fold(panel, heading) {
  const title = heading.textContent;
  if (!narrow.matches) {
    heading.textContent = title;
    panel.classList.remove("is-folded");
    return;
  }
  const button = make("button", "fold-button", null, title);
  button.type = "button";
  const set = (folded) => {
    panel.classList.toggle("is-folded", folded);
    button.setAttribute("aria-expanded", String(!folded));
  };
  button.addEventListener("click", () => set(!panel.classList.contains("is-folded")));
  set(true);
  heading.replaceChildren(button);
}

// The headings are other components': they are there once the page is.
function start() {
  const panels = ["#face-panel", "#methods-panel"].map((id) => [document.querySelector(id), document.querySelector(`${id} h3`)]);
  const charts = document.querySelector("#charts > button");
  if (!charts || panels.some(([, heading]) => !heading)) return void (element.isConnected && setTimeout(start, 100));
  const foldAll = () => panels.forEach((panel) => fold(...panel));
  foldAll();
  narrow.addEventListener("change", foldAll);
  if (narrow.matches && charts.classList.contains("open")) charts.click();
}
start();
