// Playback of an episode: maps side by side over one curve, with a button, a slider and keys.

let running = null; // the player on the page, if any

function player(track, entry, other) {
  running?.stop();
  running = null;
  const { world, entries } = track.film, pair = [entry, other].filter((each) => each && Object.hasOwn(entries, each.entry));
  const films = pair.map((each) => entries[each.entry]), slots = films[0].hosts.length;
  const pace = Math.min(24, Math.max(8, 0.4 * slots)) / slots; // seconds per slot
  const maps = pair.map((each) => make("canvas", { class: "map", role: "img", "aria-label": `Map of the episode of ${each.title}` }));
  const says = pair.map(() => make("span"));
  const figures = pair.map((each, i) =>
    make("figure", {}, maps[i], make("figcaption", {}, make("b", {}, make("bdi", {}, each.title)), says[i])),
  );
  const curve = make("canvas", { class: "curve", role: "img", "aria-label": "Score of every slot" });
  const button = make("button", { type: "button", id: "play" });
  const slider = make("input", { type: "range", min: 0, max: slots - 1, step: 1, value: 0, "aria-label": "Slot" });
  const clock = make("output");
  const stage = make("div", { class: pair.length > 1 ? "stage" : "stage one" }, ...figures);
  const element = make("div", { class: "player" }, stage, make("div", { class: "controls" }, button, slider, clock), curve);
  let at = 0, playing = false, then = 0, frame = 0, seek = () => 0, colours = null;

  function draw() {
    if (!element.isConnected) return;
    colours ??= palette(element);
    maps.forEach((map, i) => drawMap(map, world, films[i], at, colours));
    seek = drawCurve(curve, films, at, colours);
    const slot = Math.floor(at);
    slider.value = slot;
    clock.textContent = `slot ${slot + 1} of ${slots}`;
    slider.setAttribute("aria-valuetext", clock.textContent);
    films.forEach((film, i) => {
      const moved = film.migrations[slot], broken = film.violated[slot];
      says[i].textContent = `score ${written(film.score[slot])} · ${moved} moved${broken ? " · ✗ violated" : ""}`;
      says[i].className = broken ? "broken" : "";
    });
    button.textContent = playing ? "Pause" : at >= slots - 1 ? "Replay" : "Play";
  }
  function tick(now) {
    if (!playing || !element.isConnected) return;
    const passed = Math.min(1, Math.max(0, (now - then) / 1000)); // a frame may be dated before the click
    at = Math.min(slots - 1, at + passed / pace);
    then = now;
    playing = at < slots - 1;
    draw();
    if (playing) frame = requestAnimationFrame(tick);
  }
  function play(on) {
    cancelAnimationFrame(frame);
    playing = on;
    if (on && at >= slots - 1) at = 0;
    then = performance.now();
    if (on) frame = requestAnimationFrame(tick);
    draw();
  }
  function to(slot) {
    at = slot;
    play(false);
  }
  button.addEventListener("click", () => play(!playing));
  slider.addEventListener("input", () => to(Number(slider.value)));
  curve.addEventListener("pointerdown", (event) => to(Math.round(seek(event.offsetX))));
  slider.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    play(!playing);
  });
  const watch = new ResizeObserver(() => draw());
  watch.observe(element);
  running = {
    element,
    start: () => play(!still.matches),
    recolour: () => ((colours = null), draw()),
    stop: () => (watch.disconnect(), play(false)),
  };
  return running;
}
