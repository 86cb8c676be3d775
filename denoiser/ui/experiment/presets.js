// Marks the preset that the noise is. Given by Gradio: nothing. The grid's script says which one it is.
document.addEventListener("experiment", () => {
  const { preset = "" } = document.querySelector("#comparison .lab").dataset;
  for (const button of document.querySelectorAll("#presets button")) {
    button.setAttribute("aria-pressed", String(button.id === `preset-${preset}`));
  }
});
