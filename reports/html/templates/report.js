"use strict";
// What a reader can do with the page beyond reading it. Every control is made here, so that none is dead where
// scripts are off. Names and reasons reach the page as text only: they come from a record, not from us.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** The fields of one line of CSV; a quoted field may hold commas, quotes and line breaks. */
function fields(line) {
  const found = ("," + line).matchAll(/,(?:"((?:[^"]|"")*)"|([^,]*))/g);
  return Array.from(found, ([, quoted, plain]) => quoted === undefined ? plain : quoted.replaceAll('""', '"'));
}

/** The rows in the order of one column; a row without a figure is last whichever way. */
function ordered(rows, column, direction) {
  const value = (row) => row.figures[column];
  const numeric = rows.every((row) => Number.isFinite(Number(value(row))));
  const compare = numeric ? (a, b) => a - b : new Intl.Collator("en", { numeric: true }).compare;
  return [...rows].sort((a, b) => {
    if (value(a) === "" || value(b) === "") return (value(a) === "") - (value(b) === "");
    return direction * compare(value(a), value(b));
  });
}

/** The line of a table for a case that did not run: its place in the page's list has what tells it from the others. */
function idleLine(item, names, columns) {
  const csv = `${item.dataset.head},${item.closest("details").dataset.tail}`;
  const reason = fields(csv)[names.indexOf("reason")].replace(/^\w+ skipped: /, "");
  const head = element("th", { scope: "row" }, item.querySelector("b").textContent);
  const told = element("td", { class: "wide idle", colspan: columns - 1 }, `did not run: ${reason}`);
  return element("tr", { "data-csv": csv }, head, told);
}

/** Tables and their parts are seen where one of their cases is. */
function hideEmpty(section) {
  const seen = "tr[data-csv]:not([hidden])";
  for (const part of section.querySelectorAll(".cases, tbody")) part.hidden = !part.querySelector(seen);
}

/** What a line says, in small letters: its pieces apart, or "12 MB" and "1.9×" would be found as "b1". */
function words(line) {
  const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
  const pieces = [];
  while (walker.nextNode()) pieces.push(walker.currentNode.data);
  return pieces.join(" ").toLowerCase();
}

/** Sort, filter and copy of the tables of cases. */
function cases(section) {
  const head = section.dataset.csv;
  const names = fields(head);
  const called = JSON.parse(section.dataset.names); // models and backends as people call them, by their ids
  const blocks = Array.from(section.querySelectorAll(".cases"));
  if (!blocks.length) return;
  const rows = [];
  const status = element("p", { role: "status", class: "shown" });

  function read(line, ran) {
    const figures = Object.fromEntries(fields(line.dataset.csv).map((field, place) => [names[place], field]));
    rows.push({ line, ran, figures, words: `${words(line)} ${figures.case.toLowerCase()}` });
    return figures;
  }

  /** The table of a model; made if none of its cases ran. */
  function blockOf(model) {
    let block = blocks.find((each) => each.dataset.model === model);
    if (!block) {
      block = blocks[0].cloneNode(true);
      block.dataset.model = model;
      block.querySelector("h3").textContent = called[model] ?? model;
      block.querySelector(".scroll").setAttribute("aria-label", `Table: all cases of ${called[model] ?? model}`);
      block.querySelectorAll("tbody").forEach((group) => group.remove());
      blocks.at(-1).after(block);
      blocks.push(block);
    }
    return block;
  }

  /** The part of a table that holds one batch size; made if none of its cases ran. */
  function groupOf(block, batch) {
    const groups = Array.from(block.querySelectorAll("tbody"));
    let group = groups.find((each) => each.dataset.batch === batch);
    if (!group) {
      const columns = block.querySelectorAll("thead th").length;
      const title = element("th", { colspan: columns, scope: "rowgroup" }, `batch ${batch}`);
      group = element("tbody", { "data-batch": batch }, element("tr", { class: "group" }, title));
      block.querySelector("table").insertBefore(group, groups.find((each) => +each.dataset.batch > +batch) ?? null);
    }
    return group;
  }

  for (const line of section.querySelectorAll("tr[data-csv]")) read(line, true);
  const listed = document.getElementById("idle");
  for (const item of listed?.querySelectorAll("li") ?? []) {
    const line = idleLine(item, names, blocks[0].querySelectorAll("thead th").length);
    const figures = read(line, false);
    groupOf(blockOf(figures.model), figures.batch).append(line);
  }
  for (const { line, figures } of rows) {
    line.cells[0].append(element("span", { class: "of-batch" }, `batch ${figures.batch}`));
  }

  // Controls
  const search = element("input", { type: "search", placeholder: "name or reason", autocomplete: "off", spellcheck: "false" });
  const choices = ["model", "backend", "precision", "gate"].map((name) => {
    const select = element("select", {}, element("option", { value: "" }, "all"));
    for (const value of new Set(rows.map((row) => row.figures[name]))) {
      select.append(element("option", { value }, name === "precision" ? value.toUpperCase() : called[value] ?? value));
    }
    return { name, select };
  });
  const idle = element("input", { type: "checkbox" });
  const resting = rows.filter((row) => !row.ran).length;
  const copy = element("button", { type: "button" }, "Copy as CSV");
  const save = element("button", { type: "button" }, "Download CSV");
  const tools = element(
    "div", { class: "tools", role: "group", "aria-label": "Filter and copy the cases" },
    element("label", {}, "Find", search),
    ...choices.map(({ name, select }) => element("label", {}, name[0].toUpperCase() + name.slice(1), select)),
    ...(resting ? [element("label", { class: "check" }, idle, `also what did not run (${resting})`)] : []),
    copy, save,
  );
  blocks[0].before(tools, status);

  function show() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (row) => words.every((word) => row.words.includes(word))
      && choices.every(({ name, select }) => select.value === "" || select.value === row.figures[name]);
    let seen = 0;
    let unseen = 0;
    for (const row of rows) {
      const fitting = fits(row);
      row.line.hidden = !fitting || !(row.ran || idle.checked);
      if (!row.line.hidden) seen += 1;
      else if (fitting) unseen += 1;
    }
    hideEmpty(section);
    if (listed) listed.hidden = idle.checked;
    const all = idle.checked ? rows.length : rows.length - resting;
    status.textContent = `${seen} of ${counted(all, "case")} shown`
      + (unseen ? `; ${unseen} more did not run` : "");
  }

  /** The shown cases in the order in which they stand, with all columns of report.csv. */
  function csv() {
    const lines = Array.from(section.querySelectorAll("tr[data-csv]:not([hidden])"), (line) => line.dataset.csv);
    return { count: lines.length, text: [head, ...lines, ""].join("\n") };
  }

  search.addEventListener("input", show);
  for (const control of [idle, ...choices.map(({ select }) => select)]) control.addEventListener("change", show);
  copy.addEventListener("click", async () => {
    const { count, text } = csv();
    try {
      await navigator.clipboard.writeText(text);
      status.textContent = `${counted(count, "case")} copied`;
    } catch {
      status.textContent = "This browser does not let a page copy; the download has the same lines";
    }
  });
  save.addEventListener("click", () => {
    const { count, text } = csv();
    const href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    element("a", { href, download: "cases.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000);
    status.textContent = `${counted(count, "case")} downloaded`;
  });
  for (const block of blocks) sortable(block, rows.filter((row) => block.contains(row.line)), status);
  show();
}

/** A button in each header: upward, downward, then again by batch as the page came. */
function sortable(block, rows, status) {
  const heads = Array.from(block.querySelectorAll("th[data-column]"));
  const homes = rows.map(({ line }) => line.parentElement);
  const title = block.querySelector("h3").textContent;
  const sorted = element("tbody", { class: "sorted" });
  for (const head of heads) {
    const button = element("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    const name = button.innerText.replace(/\s+/g, " ");
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      for (const each of heads) each.removeAttribute("aria-sort");
      if (before === "descending") {
        rows.forEach(({ line }, place) => homes[place].append(line));
        sorted.remove();
        status.textContent = `${title}: by batch again`;
      } else {
        const direction = before ? -1 : 1;
        head.setAttribute("aria-sort", before ? "descending" : "ascending");
        sorted.append(...ordered(rows, head.dataset.column, direction).map(({ line }) => line));
        block.querySelector("thead").after(sorted);
        status.textContent = `${title}: sorted by ${name}, ${before ? "highest" : "lowest"} first`;
      }
      hideEmpty(block);
    });
  }
}

/** The figures of a chart's point below the chart, for pointer and keyboard; one stop for the Tab key a chart. */
function readable(figure) {
  const points = Array.from(figure.querySelectorAll(".point"));
  const reach = 28; // CSS pixels: a finger's width
  if (!points.length) return;
  const out = element("p", { class: "readout" });
  figure.append(out);
  const ranked = figure.classList.contains("ranked"); // bars stand below each other, marks beside
  points.sort((a, b) => (ranked ? middle(a).y - middle(b).y : middle(a).x - middle(b).x));
  points.forEach((point, place) => {
    // The words move from the title, which a browser shows late and never to the keyboard, to a label.
    const title = point.querySelector("title");
    point.setAttribute("aria-label", title.textContent);
    title.remove();
    point.setAttribute("tabindex", place ? "-1" : "0");
    point.addEventListener("focus", () => choose(point));
  });

  function middle(point) {
    const { left, right, top, bottom } = point.getBoundingClientRect();
    return { x: (left + right) / 2, y: (top + bottom) / 2 };
  }

  /** The figures of the chosen mark; no two lie so close that a finger could not tell them apart. */
  function choose(point) {
    for (const each of points) each.classList.toggle("chosen", each === point);
    for (const each of points) each.setAttribute("tabindex", each === point ? "0" : "-1");
    out.replaceChildren(element("span", {}, point.getAttribute("aria-label")));
  }

  const drawing = figure.querySelector("svg");
  const follow = ({ clientX, clientY }) => {
    const far = (point) => Math.hypot(middle(point).x - clientX, middle(point).y - clientY);
    const nearest = points.reduce((best, point) => (far(point) < far(best) ? point : best));
    if (far(nearest) > reach) return;
    choose(nearest);
  };
  drawing.addEventListener("pointermove", follow);
  drawing.addEventListener("pointerdown", follow);
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const here = points.indexOf(document.activeElement);
    if (step === undefined || here < 0) return;
    event.preventDefault();
    points[(here + step + points.length) % points.length].focus();
  });
}

/** The answer as text to send to somebody: one sentence a model. */
function forwardable(section) {
  const cards = Array.from(section.querySelectorAll("[data-sentence]"));
  if (!cards.length) return;
  const copy = element("button", { type: "button", class: "copy" }, "Copy the answer");
  const told = element("span", { "aria-live": "polite", class: "soft" });
  section.append(element("p", { class: "forward" }, copy, " ", told));
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(cards.map((card) => card.dataset.sentence).join("\n"));
      told.textContent = "Copied";
    } catch {
      told.textContent = "This browser does not let a page copy";
    }
  });
}

const answers = document.getElementById("ship")?.closest("section");
if (answers) forwardable(answers);
const table = document.getElementById("table")?.closest("section");
if (table) cases(table);
document.querySelectorAll(".panels figure").forEach(readable);
