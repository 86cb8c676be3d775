// Saves a file that came as base64. Given by Gradio: props, watch.
watch("value", () => {
  const file = props.value;
  if (!file || !file.data) return;
  const bytes = decode(file.data);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: file.type }));
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});
