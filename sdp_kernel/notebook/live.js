// Puts living views in the place of static outputs, and tells the kernel which are seen.
//
// The kernel sends, over one comm: "views" (which outputs can live, and by which part), "part" (a script
// and its style sheet, sent when one is asked for), "frame" (what a view is to draw now). How a part draws
// is its own business: it exports create(root, act) → { draw(frame), destroy() }.

const ALIVE_MS = 10_000;
const LOOK_MS = 400;
const AGAIN_MS = 1500;
const OUTPUT = ".jp-OutputArea-output";

function initialize({ model, signal }) {
  const page = Math.random().toString(36).slice(2);
  const views = new Map(); // id → { part, mounts: Map(place → mount), frame }
  const parts = new Map(); // name → { promise, resolve, reject }
  const queue = new Set(); // views to draw, one for each animation frame
  const seen = new Set(); // mounts in the viewport
  const mounts = new WeakMap(); // root → mount
  const places = new CSSStyleSheet(); // a rule for each view that is drawn
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, places];
  let told = "";
  let greeted = -Infinity; // when hello was said; Infinity once it is answered
  let drawing = 0;

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const mount = mounts.get(entry.target);
      if (!mount) continue;
      if (entry.isIntersecting) seen.add(mount);
      else seen.delete(mount);
      if (entry.isIntersecting) draw(mount.view);
    }
    tell();
  });

  // Where a view is drawn in its output's HTML: redrawn HTML is hidden at once, and as high as the view that
  // takes its place, so that the front end lays out no table that nobody will see.
  const sizes = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const view = mounts.get(target)?.view;
      if (view?.rule && contentRect.height) view.rule.style.minHeight = `${contentRect.height}px`;
    }
  });

  function keepPlace(mount) {
    const { view } = mount;
    if (view.rule || mount.place.matches(OUTPUT)) return;
    const redrawn = `.sdp-live-${view.id}:not(.sdp-live-on)`;
    places.insertRule(`${redrawn} > * { display: none; }`);
    places.insertRule(`${redrawn} { min-height: 0; }`);
    view.rule = places.cssRules[0];
    sizes.observe(mount.root);
  }

  // A comm that cannot be sent to stays so: its kernel has been restarted, or is gone.
  function say(content) {
    try {
      model.send(content);
    } catch {
      leave();
    }
  }

  // --- what the kernel says ---

  function take(message) {
    if (message.kind === "views") {
      for (const [id, part] of Object.entries(message.views)) {
        if (!views.has(id)) views.set(id, { id, part, mounts: new Map(), frame: null });
      }
      greeted = Infinity;
      look();
    } else if (message.kind === "part") {
      load(message);
    } else if (message.kind === "frame") {
      const view = views.get(message.id);
      if (!view) return;
      view.frame = merged(view.frame, message);
      for (const mount of view.mounts.values()) mount.dirty = true;
      draw(view);
    }
  }

  function part(name) {
    if (!parts.has(name)) {
      const waiting = {};
      waiting.promise = new Promise((resolve, reject) => Object.assign(waiting, { resolve, reject }));
      waiting.asked = -Infinity;
      parts.set(name, waiting);
      ask();
    }
    return parts.get(name).promise;
  }

  // What a page says while a cell runs may wait for its end, until the front end has a subshell for the
  // comm: so it is said again until it is answered.
  function ask() {
    const now = performance.now();
    if (now - greeted > AGAIN_MS) {
      greeted = now;
      say({ event: "hello" });
    }
    for (const [name, waiting] of parts) {
      if (waiting.loading || now - waiting.asked < AGAIN_MS) continue;
      waiting.asked = now;
      say({ event: "need", part: name });
    }
  }

  async function load({ part: name, script, style, error }) {
    const waiting = parts.get(name);
    if (!waiting || waiting.loading) return;
    waiting.loading = true;
    if (error) return waiting.reject(new Error(error));
    if (style && !document.getElementById(`sdp-style-${name}`)) {
      const sheet = document.createElement("style");
      sheet.id = `sdp-style-${name}`;
      sheet.textContent = style;
      document.head.append(sheet);
    }
    const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    try {
      waiting.resolve(await import(/* webpackIgnore: true */ url));
    } catch (reason) {
      waiting.reject(reason);
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  // --- outputs in the page ---

  // A view stands beside the output that JupyterLab renders, which is hidden: to redraw it then costs no
  // layout. In other front ends it stands within its output's HTML.
  function placeOf(host) {
    return host.closest(OUTPUT) ?? host;
  }

  function stands({ place, root }) {
    return place.matches(OUTPUT) ? root.nextSibling === place : root.parentNode === place;
  }

  // An output is drawn anew when the kernel redraws its HTML, taken out of the page when it is scrolled
  // away, and there twice in a second view of the notebook. So each is looked for, again and again.
  function look() {
    const found = new Set(); // mounts that have their host
    for (const host of document.getElementsByClassName("sdp-live")) {
      const view = views.get(/(?:^| )sdp-live-([0-9a-f]+)(?: |$)/.exec(host.className)?.[1]);
      if (!view) continue;
      const place = placeOf(host);
      const known = view.mounts.get(place);
      if (!known || !stands(known)) mount(view, place);
      found.add(view.mounts.get(place));
    }
    for (const view of views.values()) {
      for (const known of view.mounts.values()) if (known.place.isConnected && !found.has(known)) remove(known);
    }
    tell();
  }

  function mount(view, place) {
    const old = [...view.mounts.values()].find((known) => !known.place.isConnected || !stands(known));
    if (old) {
      view.mounts.delete(old.place);
      settle(old, place);
      return;
    }
    const fresh = { view, place, root: document.createElement("div"), dirty: true, drawer: null };
    fresh.root.dataset.lmSuppressShortcuts = "true"; // Enter on a button is the button's, not the notebook's
    fresh.redrawn = new MutationObserver(look);
    mounts.set(fresh.root, fresh);
    settle(fresh, place);
    part(view.part).then(
      (module) => {
        fresh.drawer = module.create(fresh.root, (action) => act(view, action), { part });
        draw(view);
      },
      (reason) => console.warn("sdp: live view", reason),
    );
  }

  function settle(mount, place) {
    const { root } = mount;
    const scrolled = [...root.querySelectorAll("[data-keep-scroll]")].map((box) => [box, box.scrolled]);
    const focused = root.contains(document.activeElement) ? document.activeElement : mount.focused;
    mount.place = place;
    mount.view.mounts.set(place, mount);
    const beside = place.matches(OUTPUT);
    root.className = beside ? place.className : "";
    root.classList.remove("sdp-live-on");
    root.classList.add("sdp-live-root");
    if (beside) place.before(root);
    else place.append(root);
    show(mount, mount.drawn);
    for (const [box, at] of scrolled) if (at?.some(Boolean)) [box.scrollLeft, box.scrollTop] = at;
    if (focused && root.contains(focused)) focused.focus({ preventScroll: true });
    mount.redrawn.disconnect();
    if (place.parentNode) mount.redrawn.observe(place.parentNode, { childList: true });
    watcher.unobserve(root);
    watcher.observe(root);
  }

  function show({ place, root }, on) {
    root.hidden = !on;
    place.classList.toggle("sdp-live-on", Boolean(on));
  }

  function remove(mount) {
    mount.view.mounts.delete(mount.place);
    mount.redrawn.disconnect();
    mount.drawer?.destroy();
    mount.root.remove();
    mount.place.classList.remove("sdp-live-on");
    watcher.unobserve(mount.root);
    seen.delete(mount);
  }

  function act(view, action) {
    say({ event: "act", id: view.id, action });
  }

  // --- drawing: one view an animation frame, and only where it is seen ---

  function draw(view) {
    if (view.frame) queue.add(view);
    if (!drawing && queue.size) drawing = requestAnimationFrame(drawNext);
  }

  function drawNext() {
    drawing = 0;
    for (const view of queue) {
      queue.delete(view);
      let drew = false;
      for (const mount of view.mounts.values()) {
        if (!mount.drawer || !mount.dirty || !(seen.has(mount) || !mount.drawn)) continue;
        mount.dirty = false;
        drew = true;
        try {
          show(mount, true); // a chart asks for its width
          mount.drawer.draw(view.frame);
          mount.drawn = true;
          keepPlace(mount);
        } catch (reason) {
          show(mount, mount.drawn);
          console.error("sdp: live view", reason);
        }
      }
      if (drew) break;
    }
    if (queue.size) drawing = requestAnimationFrame(drawNext);
  }

  // --- what the page tells the kernel ---

  function tell(anyway = false) {
    const mounted = [...views.values()].filter((v) => [...v.mounts.keys()].some(inPage));
    const visible = document.hidden ? [] : [...new Set([...seen].map((mount) => mount.view))];
    const now = JSON.stringify([mounted.map((v) => v.id), visible.map((v) => v.id)]);
    if (now === told && !anyway) return;
    told = now;
    const [mountedIds, seenIds] = JSON.parse(now);
    say({ event: "alive", page, mounted: mountedIds, seen: seenIds });
  }

  const onHide = () => tell();
  const onFocus = ({ target }) => {
    const mount = mounts.get(target.closest?.(".sdp-live-root"));
    if (mount) mount.focused = target;
  };
  const onLeave = () => say({ event: "bye", page });
  const looking = setInterval(() => (look(), ask()), LOOK_MS);
  const beating = setInterval(() => views.size && tell(true), ALIVE_MS);
  document.addEventListener("visibilitychange", onHide);
  document.addEventListener("focusin", onFocus);
  window.addEventListener("pagehide", onLeave);
  model.on("msg:custom", take);
  model.on("comm_live_update", () => tell(true));
  ask();

  // The kernel is gone: what the outputs hold as HTML is shown again.
  function leave() {
    clearInterval(looking);
    clearInterval(beating);
    cancelAnimationFrame(drawing);
    document.removeEventListener("visibilitychange", onHide);
    document.removeEventListener("focusin", onFocus);
    window.removeEventListener("pagehide", onLeave);
    watcher.disconnect();
    sizes.disconnect();
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => sheet !== places);
    for (const view of views.values()) {
      view.frame = null;
      for (const mount of view.mounts.values()) remove(mount);
    }
    views.clear();
  }
  signal?.addEventListener("abort", leave);
  return signal ? undefined : leave;
}

// JupyterLab takes cells that are scrolled away out of the document, whole.
function inPage(place) {
  return place.isConnected || Boolean(place.closest(".jp-Cell"));
}

// A frame holds what has changed: the rest is as it was. Points are added to, by the id they begin with.
function merged(before, { points, ...message }) {
  const frame = { ...before, ...message };
  if (points) {
    const all = points.all || !before?.points ? new Map() : before.points;
    for (const id of points.gone) all.delete(id);
    for (const point of points.put) all.set(point[0], point);
    frame.points = all;
    frame.version = (before?.version ?? 0) + 1;
  }
  return frame;
}

export default { initialize };
