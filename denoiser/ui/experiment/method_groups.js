// Puts the boxes of the methods into groups, and above them a field that finds some by name. Given by Gradio: element,
// props. Its value is a list of [title, line, when it is offered, count], in the order of the boxes, which are another
// component's: they are there once the page is. The grid's script says whether the face is in colour, and own_model.js
// whether the visitor has a model.
function write() {
  const labels = [...document.querySelectorAll("#methods .wrap > label")];
  if (!labels.length) return void (element.isConnected && setTimeout(write, 100));
  const boxes = labels[0].parentElement;
  const groups = props.value.map(([title, line, offered, count], index, all) => {
    const first = all.slice(0, index).reduce((sum, group) => sum + group.at(-1), 0);
    const heading = make("span", "method-group", null, title);
    make("span", "method-line", heading, line);
    labels[first].before(heading);
    return { heading, name: title, members: labels.slice(first, first + count), offered };
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
  const search = () => find(groups, field.value.trim().toLowerCase(), none);
  field.addEventListener("input", search);
  const own = groups.filter(({ offered }) => offered === "own").flatMap(({ members }) => members);
  let seen = "";
  const follow = () => {
    const now = `${isColour()} ${own.some(isTicked)}`;
    if (seen === now) return; // with every move of a slider
    seen = now;
    search();
  };
  document.addEventListener("experiment", follow);
  document.addEventListener("own-model", search);
  follow();
}

// Before there are pictures, they are gray.
function isColour() {
  const { form } = document.querySelector("#comparison .lab")?.dataset || {};
  return Boolean(form) && JSON.parse(form).colour;
}

const isTicked = (label) => label.querySelector("input").checked;
const hasOwn = () => Boolean(document.querySelector("#own-note .own-model")?.dataset.present);

// Whether a word of a text begins like this: "dual" is not in "Residual".
const hasWord = (text, start) => ` ${text.trim().toLowerCase()}`.includes(` ${start}`);

// What is ticked stays in sight, so that nobody forgets it; of what is for colour, where there is some. A model of the
// visitor's own that is ticked and gone can be unticked.
function find(groups, wanted, none) {
  const isOffered = { always: true, colour: isColour(), own: hasOwn() };
  let found = 0;
  for (const { heading, name, members, offered: when } of groups) {
    const offered = isOffered[when] ? members : members.filter((label) => when === "own" && isTicked(label));
    const hits = offered.filter((label) => [name, label.textContent].some((text) => hasWord(text, wanted)));
    const kept = offered.filter(isTicked);
    members.forEach((label) => { label.hidden = !hits.includes(label) && !kept.includes(label); });
    heading.hidden = members.every((label) => label.hidden);
    found += hits.length;
  }
  none.hidden = found > 0;
}
write();
