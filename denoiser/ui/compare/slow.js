// Hands slow results on to the grid. Given by Gradio: props, watch.
function handOn() {
  const lab = document.querySelector("#comparison .lab");
  if (lab && props.value) lab.dispatchEvent(new CustomEvent("slow-results", { detail: readPayload(props.value) }));
}
watch("value", handOn);
handOn();
