// For a room: the stage and the noise's slider alone, with large text. Where the browser gives no full screen, as in a
// frame that may not have it, the page is laid out for it all the same.
// Arguments: the stage's element, and what createStage made of it.
function createPresenting(root, stage) {
  const page = document.documentElement;
  const button = make("button", "stage-button stage-present", null, "Present");
  button.type = "button";
  button.title = "The whole screen for the stage; Escape leaves it";
  root.querySelector(".stage-keep").after(button);

  const isPresenting = () => page.classList.contains("is-presenting");
  function present(now) {
    if (isPresenting() === now) return;
    // Gradio puts each of the style sheet's rules below ".contain" too, where it weighs more.
    for (const node of [page, document.querySelector("#tabs").parentElement]) node.classList.toggle("is-presenting", now);
    button.textContent = now ? "Leave" : "Present";
    fillScreen(page, now);
  }

  // Where nothing is enlarged, arrow keys turn to another method.
  const KEYS = {
    ArrowLeft: () => stage.isEnlarged() || stage.step(-1),
    ArrowRight: () => stage.isEnlarged() || stage.step(1),
    r: () => document.querySelector("#reroll").click(),
    v: () => {
      const views = [...document.querySelectorAll('[name="lab-view"]')];
      views[(views.findIndex(({ checked }) => checked) + 1) % views.length].click();
    },
    Escape: () => present(false),
  };

  button.addEventListener("click", () => present(!isPresenting()));
  document.addEventListener("fullscreenchange", () => { if (!document.fullscreenElement) present(false); });
  document.addEventListener("keydown", (event) => {
    const key = isPresenting() && !event.target.matches(WRITTEN) && !event.target.matches("[type=range], [type=radio]")
      && KEYS[event.key];
    if (!key) return;
    event.preventDefault();
    key();
  });
}
