// Draws a live table: a head line with buttons, one page of rows, and the way to other pages.
//
// Rows are told apart by their ids: a row that stays keeps its element, and a cell is touched only where
// its text is another. Every text is set as text, never as markup.

const FLASH_MS = 900;
const MOST_FLASHES = 150; // more at a time tell nothing, and cost
const still = window.matchMedia("(prefers-reduced-motion: reduce)");

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function button(label, title, onClick) {
  const made = make("button", "sdp-button", label);
  made.type = "button";
  made.title = title;
  made.setAttribute("aria-label", title);
  made.addEventListener("click", onClick);
  return made;
}

// A text node is used again: so many new ones a second would have the browser collect garbage.
function setText(element, text) {
  const node = element.firstChild;
  if (node?.nodeType !== Node.TEXT_NODE || node.nextSibling) element.textContent = text;
  else if (node.data !== text) node.data = text;
}

function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

export function create(root, act) {
  let table = null; // the page that is drawn
  let frame = null;
  let columns = "";
  let widths = [];
  let rows = new Map(); // id → row element, its texts in .texts
  let fader;
  const fading = new Map(); // element that flashes → its step

  // --- elements ---

  const panel = make("div", "sdp sdp-live-panel");
  const line = make("div", "sdp-head");
  const title = make("span", "sdp-title");
  const chip = make("span", "sdp-chip");
  const facts = make("span", "sdp-facts");
  const job = make("a", "sdp-fact");
  job.target = "_blank";
  job.rel = "noopener noreferrer";
  const pause = button("Pause", "Pause: the table stands still, the query goes on", () => {
    act({ do: frame?.paused ? "resume" : "pause" });
  });
  const stop = button("Stop", "Stop the query on the cluster; its rows stay", () => {
    stop.disabled = true;
    act({ do: "stop" });
  });
  const passed = make("span", "sdp-fact sdp-warn");
  line.append(title, chip, facts, job, pause, stop, passed);

  const box = make("div", "sdp-scroll");
  box.tabIndex = 0;
  box.dataset.keepScroll = "";
  box.addEventListener("scroll", () => (box.scrolled = [box.scrollLeft, box.scrollTop]), { passive: true });
  const grid = make("table");
  const headRow = make("tr");
  const head = make("thead");
  head.append(headRow);
  const body = make("tbody");
  grid.append(head, body);
  box.append(grid);

  const foot = make("div", "sdp-foot");
  const first = button("«", "First page", () => go(0));
  const before = button("‹", "Previous page", () => go(table.offset - table.size));
  const place = make("span", "sdp-fact");
  const after = button("›", "Next page", () => go(table.offset + table.size));
  const last = button("»", "Last page", () => go(Math.floor((table.total - 1) / table.size) * table.size));
  const size = make("select", "sdp-button");
  size.title = "Rows on a page";
  size.setAttribute("aria-label", size.title);
  size.addEventListener("change", () => go(0, Number(size.value)));
  foot.append(first, before, place, after, last, size);

  const note = make("div", "sdp-note");
  note.setAttribute("role", "status");
  panel.append(line, box, foot, note);
  root.append(panel);

  // --- what the user does ---

  function go(offset, pageSize = table?.size) {
    if (table) act({ do: "page", offset: Math.max(offset, 0), size: pageSize });
  }

  // Up, down, and back to the order of arrival.
  function sortBy(name) {
    if (table.sort !== name) act({ do: "sort", column: name, descending: false });
    else if (!table.descending) act({ do: "sort", column: name, descending: true });
    else act({ do: "sort", column: null });
  }

  // --- drawing ---

  function drawHead({ title: name, head: now, paused, passed: missed, note: text }) {
    setText(title, name);
    setText(chip, paused ? `${now.state}, display paused` : now.state);
    chip.className = `sdp-chip sdp-${paused ? "warn" : now.tone}`;
    while (facts.children.length > now.facts.length) facts.lastChild.remove();
    now.facts.forEach(([value, unit, hint], index) => {
      let fact = facts.children[index];
      if (!fact) {
        fact = make("span", "sdp-fact");
        fact.append(make("b"), make("span"));
        facts.append(fact);
      }
      setText(fact.firstChild, value);
      setText(fact.lastChild, unit ? ` ${unit}` : "");
      if (fact.title !== hint) fact.title = hint;
    });
    setHidden(job, !now.job);
    if (now.job) {
      setText(job, now.job.url ? `job ${now.job.id} ↗` : `job ${now.job.id}`);
      if (now.job.url) job.href = now.job.url;
      job.title = "The job in Flink's UI";
    }
    setHidden(pause, !now.running && !paused);
    setText(pause, paused ? "Resume" : "Pause");
    pause.title = paused
      ? "Resume: show the table as it stands"
      : "Pause: the table stands still, the query goes on";
    pause.setAttribute("aria-label", pause.title);
    pause.setAttribute("aria-pressed", String(paused));
    setHidden(stop, !now.running);
    setHidden(passed, !paused);
    setText(passed, paused ? `${missed.toLocaleString("en")} changes passed` : "");
    setText(note, text || "");
    setHidden(note, !text);
  }

  function drawColumns(next) {
    const key = JSON.stringify([next.columns, next.keys]);
    if (key === columns) return;
    columns = key;
    widths = [];
    rows = new Map();
    body.replaceChildren();
    headRow.replaceChildren(
      ...next.columns.map(([name, type, right], index) => {
        const cell = make("th", right ? "sdp-n" : "");
        cell.scope = "col";
        const sort = button("", `Sort by ${name}`, () => sortBy(name));
        sort.className = "sdp-sort";
        sort.append(make("span", "", name), make("span", "sdp-arrow"));
        cell.append(sort, make("small", "", next.keys.includes(index) ? `${type} · key` : type));
        return cell;
      }),
    );
  }

  function drawSort(next) {
    next.columns.forEach(([name], index) => {
      const cell = headRow.children[index];
      const sorted = next.sort === name;
      cell.ariaSort = sorted ? (next.descending ? "descending" : "ascending") : "none";
      setText(cell.querySelector(".sdp-arrow"), sorted ? (next.descending ? " ▼" : " ▲") : "");
    });
  }

  function drawRows(next) {
    const sameView =
      table && table.offset === next.offset && table.sort === next.sort &&
      table.descending === next.descending && table.size === next.size;
    const wanted = new Set(next.ids);
    const spare = []; // elements of rows that are gone, for rows that are new
    for (const [id, row] of rows) {
      if (wanted.has(id)) continue;
      rows.delete(id);
      spare.push(row);
    }
    for (const row of spare.splice(Math.max(next.ids.length - rows.size, 0))) row.remove();
    const fresh = next.ids.length - next.ids.filter((id) => rows.has(id)).length;
    const tellFresh = sameView && fresh <= next.ids.length / 2;
    const flashes = [];
    let at = body.firstChild;
    next.ids.forEach((id, index) => {
      let row = rows.get(id);
      const isNew = !row;
      if (isNew) row = spare.pop() ?? makeRow(next.columns);
      rows.set(id, row);
      if (row === at) at = at.nextSibling;
      else body.insertBefore(row, at);
      drawRow(row, next.rows[index], isNew ? null : flashes);
      if (isNew && tellFresh) flashes.push(row);
    });
    if (sameView && flashes.length <= MOST_FLASHES && !still.matches) flashes.forEach(flash);
    drawWidths();
  }

  function makeRow(of) {
    const row = make("tr");
    for (const [, , right] of of) row.append(make("td", right ? "sdp-n" : ""));
    row.texts = [];
    return row;
  }

  function drawRow(row, texts, flashes) {
    texts.forEach((text, index) => {
      if (row.texts[index] === text) return;
      const cell = row.children[index];
      setText(cell, text ?? "null");
      cell.classList.toggle("sdp-null", text === null);
      flashes?.push(cell);
      const length = Math.min(text?.length ?? 4, 40);
      if (length > (widths[index] ?? 0)) widths[index] = length;
    });
    row.texts = texts;
  }

  // Columns only grow, so that a table does not jump as its texts change.
  function drawWidths() {
    widths.forEach((width, index) => {
      const cell = headRow.children[index];
      const wanted = `calc(${width}ch + 20px)`;
      if (cell.style.minWidth !== wanted) cell.style.minWidth = wanted;
    });
  }

  // What changed fades in three steps. An animation of so many cells would have the page styled for each frame.
  function flash(element) {
    element.classList.remove("sdp-flash-2", "sdp-flash-3");
    element.classList.add("sdp-flash-1");
    fading.set(element, 1);
    fader ||= setInterval(fade, FLASH_MS / 3);
  }

  function fade() {
    for (const [element, step] of fading) {
      element.classList.remove(`sdp-flash-${step}`);
      if (step === 3) {
        fading.delete(element);
        continue;
      }
      element.classList.add(`sdp-flash-${step + 1}`);
      fading.set(element, step + 1);
    }
    if (!fading.size) fader = clearInterval(fader);
  }

  function drawFoot(next) {
    const end = Math.min(next.offset + next.ids.length, next.total);
    const count = (number) => number.toLocaleString("en");
    setText(place, next.total ? `${count(next.offset + 1)}–${count(end)} of ${count(next.total)}` : "no rows");
    first.disabled = before.disabled = next.offset === 0;
    after.disabled = last.disabled = next.offset + next.size >= next.total;
    if (size.children.length !== next.sizes.length) {
      size.replaceChildren(...next.sizes.map((rowsOn) => new Option(`${rowsOn} rows`, rowsOn)));
    }
    if (document.activeElement !== size) size.value = next.size;
  }

  function draw(now) {
    frame = now;
    if (now.gone) {
      for (const control of panel.querySelectorAll("button, select")) control.disabled = true;
      setText(note, now.gone);
      setHidden(note, false);
      return;
    }
    drawHead(now);
    setHidden(box, !now.table);
    setHidden(foot, !now.table || now.table.total <= now.table.sizes[0]);
    if (!now.table || now.table === table) return;
    drawColumns(now.table);
    drawSort(now.table);
    drawRows(now.table);
    table = now.table;
    drawFoot(now.table);
  }

  return { draw, destroy: () => (clearInterval(fader), root.replaceChildren()) };
}
