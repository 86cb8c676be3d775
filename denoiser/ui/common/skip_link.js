// What a keyboard comes to first: a link to what the open tab is about. Given by Gradio: element.
element.querySelector(".skip-link").addEventListener("click", (event) => {
  event.preventDefault();
  const panel = [...document.querySelectorAll('#tabs [role="tabpanel"]')].find((one) => one.offsetParent);
  const target = panel.querySelector(".stage-pictures") || panel;
  if (target === panel) panel.tabIndex = -1;
  target.focus();
  target.scrollIntoView({ block: "nearest" });
});
