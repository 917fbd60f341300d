// Draws a live chart: Vega makes the picture once, then takes the points that come, change and go.

const RESTS = 4; // a picture that took so long is not drawn again for this many times as long

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// The colours of the page, so that a chart can be read in a dark theme too.
function colours(element) {
  const style = getComputedStyle(element);
  const pick = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  const text = pick("--jp-ui-font-color1", "#1a1a1a");
  const weak = pick("--jp-border-color2", "#dddddd");
  return {
    background: "transparent",
    axis: { labelColor: text, titleColor: text, gridColor: weak, domainColor: weak, tickColor: weak },
    legend: { labelColor: text, titleColor: text },
    header: { labelColor: text, titleColor: text },
    view: { stroke: weak },
  };
}

export function create(root, act, { part }) {
  let view = null; // Vega's
  let spec = null;
  let points = null;
  let drawn = null; // the version that is drawn
  let frame = null;
  let busy = false;
  let restUntil = 0;
  let timer = 0;

  const panel = make("div", "sdp sdp-live-panel");
  const line = make("div", "sdp-head");
  const title = make("span", "sdp-title");
  const chip = make("span", "sdp-chip");
  const facts = make("span", "sdp-facts");
  const job = make("a", "sdp-fact");
  job.target = "_blank";
  job.rel = "noopener noreferrer";
  const pause = make("button", "sdp-button", "Pause");
  pause.addEventListener("click", () => act({ do: frame?.paused ? "resume" : "pause" }));
  const stop = make("button", "sdp-button", "Stop");
  stop.title = "Stop the query on the cluster; its rows stay";
  stop.addEventListener("click", () => {
    stop.disabled = true;
    act({ do: "stop" });
  });
  pause.type = stop.type = "button";
  line.append(title, chip, facts, job, pause, stop);
  const picture = make("div", "sdp-chart");
  const note = make("div", "sdp-note");
  note.setAttribute("role", "status");
  panel.append(line, picture, note);
  root.append(panel);

  function drawHead({ title: name, head, paused, passed, note: text }) {
    setText(title, name);
    setText(chip, paused ? `${head.state}, display paused, ${passed.toLocaleString("en")} changes passed` : head.state);
    chip.className = `sdp-chip sdp-${paused ? "warn" : head.tone}`;
    facts.replaceChildren(
      ...head.facts.map(([value, unit, hint]) => {
        const fact = make("span", "sdp-fact");
        fact.append(make("b", "", value), ` ${unit}`);
        fact.title = hint;
        return fact;
      }),
    );
    job.hidden = !head.job;
    if (head.job) {
      setText(job, head.job.url ? `job ${head.job.id} ↗` : `job ${head.job.id}`);
      if (head.job.url) job.href = head.job.url;
    }
    pause.hidden = !head.running && !paused;
    setText(pause, paused ? "Resume" : "Pause");
    pause.setAttribute("aria-pressed", String(paused));
    stop.hidden = !head.running;
    setText(note, text || "");
    note.hidden = !text;
  }

  function rows() {
    return [...points.values()].map(([id, ...values]) => {
      const row = { id };
      values.forEach((value, index) => (row[`c${index}`] = value));
      return row;
    });
  }

  async function embed() {
    const { vegaEmbed } = await part("vega");
    view?.finalize();
    const config = colours(panel);
    const wide = spec.width ? { width: "container" } : {};
    const result = await vegaEmbed(picture, { ...spec, ...wide, datasets: { rows: rows() } }, {
      mode: "vega-lite", renderer: "canvas", config, actions: { export: true, source: false, compiled: false, editor: false },
    });
    view = result.view;
  }

  async function drawPoints() {
    clearTimeout(timer);
    if (busy || !frame?.points || (drawn === frame.version && spec === frame.spec)) return;
    const wait = restUntil - performance.now();
    if (wait > 0) {
      timer = setTimeout(drawPoints, wait);
      return;
    }
    busy = true;
    const began = performance.now();
    const version = frame.version;
    const embedded = !view || JSON.stringify(spec) !== JSON.stringify(frame.spec);
    points = frame.points;
    try {
      spec = frame.spec;
      if (embedded) await embed();
      else await view.data("rows", rows()).runAsync();
      drawn = version;
    } catch (reason) {
      setText(note, `the chart cannot be drawn: ${reason.message ?? reason}`);
      note.hidden = false;
    } finally {
      busy = false;
      const took = performance.now() - began;
      if (!embedded) restUntil = performance.now() + RESTS * took;
      if (frame.version !== version) timer = setTimeout(drawPoints, restUntil - performance.now());
    }
  }

  function draw(now) {
    frame = now;
    drawHead(now);
    drawPoints();
  }

  return {
    draw,
    destroy() {
      clearTimeout(timer);
      view?.finalize();
      root.replaceChildren();
    },
  };
}
