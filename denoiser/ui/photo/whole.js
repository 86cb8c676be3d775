// How far the whole photo is, and what became of it. Given by Gradio: element, props, watch.
const root = element.querySelector(".photo-whole");
const bar = root.querySelector("progress");
const part = (name) => root.querySelector(`.photo-whole-${name}`);
const tab = document.querySelector("#photo");
let hasResult = false;

function show() {
  const value = readPayload(props.value);
  if (!value || !value.state || value.version < Number(root.dataset.version || 0)) return;
  root.dataset.version = value.version;
  if (value.token) return save(value.token);
  if (value.state === "stopped" && root.dataset.state !== "running") return; // nothing was running
  root.dataset.state = value.state;
  if (value.state === "idle") hasResult = false; // another photo
  if (value.state === "done") hasResult = true;
  // By these the page shows Cancel, and the downloads: a result stays until there is another one.
  tab.dataset.whole = value.state;
  tab.dataset.saves = hasResult && value.state !== "running" ? "yes" : "no";
  bar.hidden = value.state !== "running";
  bar.value = value.share || 0;
  part("left").textContent = value.left || "";
  // Spoken only when it changes, not for every tile.
  if (part("says").textContent !== value.text) part("says").textContent = value.text;
  part("preview").hidden = tab.dataset.saves !== "yes";
  if (value.preview) part("preview").src = `data:image/jpeg;base64,${value.preview}`;
}

// A link that is clicked, so that the browser saves it as it saves any file.
function save(token) {
  const link = make("a");
  link.href = new URL(`gradio_api/download/${token}`, document.baseURI);
  link.download = "photo.png";
  link.click();
}
watch("value", show);
show();
