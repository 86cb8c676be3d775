// Shows how far a computation is. Given by Gradio: element, props, watch.
const box = element.querySelector(".lab-progress");
const [bar, count, status] = box.children;

function show() {
  const value = props.value;
  if (!value || !value.state) return;
  if (value.state === "stopped" && box.dataset.state !== "running") return; // nothing was running
  box.dataset.state = value.state;
  const running = value.state === "running";
  bar.hidden = !running;
  count.hidden = !running;
  if (value.total) {
    bar.max = value.total;
    bar.value = value.done;
    count.textContent = `${value.done} of ${value.total}`;
  }
  // Spoken only when the state changes, not for every point.
  if (status.textContent !== value.text) status.textContent = value.text;
}
watch("value", show);
show();
