// Forwards slow results to the grid. Given by Gradio: props, watch.
function forward() {
  const lab = document.querySelector("#comparison .lab");
  if (lab && props.value) lab.dispatchEvent(new CustomEvent("slow-results", { detail: readPayload(props.value) }));
}
watch("value", forward);
forward();
