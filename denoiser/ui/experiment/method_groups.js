// Puts the boxes of the methods into groups, and above them a field that finds some by name. Given by Gradio: element,
// props. Its value is a list of [title, line, count], in the order of the boxes, which are another component's: they
// are there once the page is.
function write() {
  const labels = [...document.querySelectorAll("#methods .wrap > label")];
  if (!labels.length) return void (element.isConnected && setTimeout(write, 100));
  const boxes = labels[0].parentElement;
  const groups = props.value.map(([title, line, count], index, all) => {
    const first = all.slice(0, index).reduce((sum, [, , before]) => sum + before, 0);
    const heading = make("span", "method-group", null, title);
    make("span", "method-line", heading, line);
    labels[first].before(heading);
    return { heading, name: title, members: labels.slice(first, first + count) };
  });
  const field = make("input", "method-search");
  field.type = "search";
  field.placeholder = "Find a method";
  field.setAttribute("aria-label", "Find a method by its name");
  boxes.before(field);
  const none = make("p", "method-none", null, "No method has this name.");
  none.setAttribute("role", "status");
  none.hidden = true;
  boxes.before(none);
  field.addEventListener("input", () => find(groups, field.value.trim().toLowerCase(), none));
}

// Whether a word of a text begins like this: "dual" is not in "Residual".
const hasWord = (text, start) => ` ${text.trim().toLowerCase()}`.includes(` ${start}`);

// What is ticked stays in sight, so that nobody forgets it.
function find(groups, wanted, none) {
  let found = 0;
  for (const { heading, name, members } of groups) {
    const hits = members.filter((label) => [name, label.textContent].some((text) => hasWord(text, wanted)));
    members.forEach((label) => { label.hidden = !hits.includes(label) && !label.querySelector("input").checked; });
    heading.hidden = members.every((label) => label.hidden);
    found += hits.length;
  }
  none.hidden = found > 0;
}
write();
