// Says what became of the visitor's own model. Given by Gradio: element, props, watch, trigger.
const box = element.querySelector(".own-model");
const [said, removal] = box.children;

function show() {
  const { text = "", error = "", present } = props.value || {};
  said.textContent = error || text;
  box.dataset.state = error ? "error" : "";
  if (!error) {
    removal.hidden = !present;
    box.dataset.present = present ? "yes" : "";
    document.dispatchEvent(new Event("own-model")); // the list of methods has it, or no longer
  }
}

box.addEventListener("busy", () => {
  box.dataset.state = "";
  said.textContent = "Checking the model and trying it out…";
});
removal.addEventListener("click", () => trigger("remove"));
watch("value", show);
show();
