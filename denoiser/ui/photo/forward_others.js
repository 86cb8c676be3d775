// Forwards the results of methods that are not on the stage to the view. Given by Gradio: props, watch.
function forward() {
  const root = document.querySelector("#photo-view .photo");
  if (root && props.value) root.dispatchEvent(new CustomEvent("others", { detail: readPayload(props.value) }));
}
watch("value", forward);
forward();
