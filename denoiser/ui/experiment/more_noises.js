// The noises on top of the first, a row each. Given by Gradio: element, props, watch. The value is text: a list of
// [kind, {name: what its slider shows}]; setting it announces a change. props.kinds says what a row of a kind has.
const rows = element.querySelector(".more-noises-rows");
const add = element.querySelector(".more-noises-add");
const { kinds, most } = props;
let stages = [];

function write() {
  props.value = JSON.stringify(stages);
}

const kindOf = (id) => kinds.find((kind) => kind.id === id);
const defaultsOf = (kind) => Object.fromEntries(kind.parameters.map(({ name, value }) => [name, value]));

// A slider, and its number to type.
function createSetting(parent, { name, title, range: [low, high], step, integer }, [, values], number) {
  const label = make("label", "more-noises-setting", parent);
  make("span", "", label, title);
  const box = make("input", "", label), slider = make("input", "", parent);
  box.type = "number";
  slider.type = "range";
  slider.setAttribute("aria-label", `${title}, noise ${number}`);
  box.setAttribute("aria-label", `${title}, noise ${number}, as a number`);
  for (const input of [box, slider]) Object.assign(input, { min: low, max: high, step, value: values[name] });
  const take = (value, ...others) => {
    values[name] = value;
    for (const input of others) input.value = value;
    write();
  };
  const fitting = (value) => Math.min(Math.max(integer ? Math.round(value) : value, low), high);
  slider.addEventListener("input", () => take(slider.valueAsNumber, box));
  // What is typed counts as soon as it fits; what does not is brought into the range in the end.
  box.addEventListener("input", () => {
    if (box.valueAsNumber === fitting(box.valueAsNumber)) take(box.valueAsNumber, slider);
  });
  box.addEventListener("change", () => take(box.value ? fitting(box.valueAsNumber) : values[name], box, slider));
}

function createRow(stage, index) {
  const number = index + 2;
  const row = make("fieldset", "more-noises-row", rows);
  make("legend", "unseen", row, `Noise ${number}`);
  const head = make("div", "more-noises-head", row);
  const menu = make("select", "", head);
  menu.setAttribute("aria-label", `Kind of noise ${number}`);
  for (const { id, label } of kinds) make("option", "", menu, label).value = id;
  menu.value = stage[0];
  menu.addEventListener("change", () => {
    stages[index] = [menu.value, defaultsOf(kindOf(menu.value))];
    show();
    rows.children[index].querySelector("select").focus();
    write();
  });
  const remove = make("button", "", head, "Remove");
  remove.type = "button";
  remove.setAttribute("aria-label", `Remove noise ${number}`);
  remove.addEventListener("click", () => {
    stages.splice(index, 1);
    show();
    add.focus();
    write();
  });
  for (const parameter of kindOf(stage[0]).parameters) createSetting(row, parameter, stage, number);
}

function show() {
  rows.replaceChildren();
  stages.forEach(createRow);
  add.hidden = stages.length >= most;
}

add.addEventListener("click", () => {
  stages.push([kinds[0].id, defaultsOf(kinds[0])]);
  show();
  rows.lastElementChild.querySelector("select").focus();
  write();
});

// Set from elsewhere: by a preset, an address, a lesson, or Undo.
function receive() {
  if (props.value === JSON.stringify(stages)) return;
  stages = JSON.parse(props.value);
  show();
}
watch("value", receive);
receive();
