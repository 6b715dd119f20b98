// Dialog of one entry: its figures, an episode to play, its instances and its manifest.

const dialog = document.getElementById("detail");
let opened = ""; // key of the entry in the dialog

function showDetail() {
  const track = tracks.get(view.track), entry = track?.entries.find((each) => each.entry === view.entry || each.title === view.entry);
  const wanted = entry ? JSON.stringify([track.name, entry.entry, view.vs]) : "";
  if (wanted === opened) return;
  opened = wanted;
  running?.stop();
  running = null;
  if (!entry) {
    dialog.close();
    dialog.replaceChildren();
    return;
  }
  const other = track.entries.find((each) => each !== entry && each.entry === (view.vs || track.reference)) ?? null;
  const focus = dialog.contains(document.activeElement) ? document.activeElement.id : "";
  const scrolled = dialog.scrollTop;
  dialog.replaceChildren(head(track, entry), facts(entry), ...about(entry), versus(track, entry, other));
  if (track.film && Object.hasOwn(track.film.entries, entry.entry)) dialog.append(...film(track, entry, other));
  if (entry.score.some((score) => score != null)) {
    dialog.append(make("h3", {}, "Instances"), ...instancesPicture(track, entry, other), instancesTable(track, entry, other));
  }
  if (entry.manifest.length) dialog.append(make("h3", {}, "Manifest, as submitted"), manifest(entry));
  if (!dialog.open) dialog.showModal();
  else dialog.scrollTop = scrolled;
  if (focus) document.getElementById(focus)?.focus();
  running?.start();
}

function head(track, entry) {
  const close = make("button", { type: "button", id: "close" }, "Close");
  close.addEventListener("click", () => dialog.close());
  const title = make("h2", { id: "detail-title" }, make("bdi", {}, entry.title));
  return make("header", {}, make("div", {}, title, make("p", {}, track.title, entry.feasible ? "" : " · ✗ infeasible")), close);
}

function facts(entry) {
  const pairs = entry.facts.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text)));
  return make("dl", { class: "facts" }, ...pairs);
}

function about(entry) {
  const by = entry.authors.flatMap((author, i) => [i ? ", " : "By ", make("bdi", {}, author)]);
  return [
    entry.about ? make("p", {}, make("bdi", {}, entry.about)) : null,
    by.length ? make("p", { class: "note" }, ...by) : null,
  ].filter(Boolean);
}

function versus(track, entry, other) {
  const others = track.entries.filter((each) => each !== entry && each.score.some((score) => score != null));
  const options = others.map((each) => make("option", { value: each.entry, selected: each === other }, each.title));
  const choice = make("select", { id: "versus" }, make("option", { value: "none", selected: other === null }, "nothing"), ...options);
  choice.addEventListener("change", () => go({ vs: choice.value }, true));
  return make("div", { class: "controls" }, make("label", {}, "Compare with ", choice));
}

function film(track, entry, other) {
  const { element } = player(track, entry, other), users = track.film.world.users[0].length;
  const legend =
    (users > 1 ? "Users (dots) in the colour of the server (square) that hosts their twin. " : "The user (dot), dashed to its access station, and the station that hosts its twin. ") +
    "An orange arc is a twin that moves in the slot, and its user has a ring; × below the curve marks a slot with a violated constraint.";
  return [make("h3", {}, "An episode"), make("p", { class: "note" }, [track.film.about, legend].filter(Boolean).join(" ")), element];
}

function manifest(entry) {
  const pairs = entry.manifest.flatMap(([name, text, link]) => {
    const safe = /^https:\/\//i.test(link ?? "");
    const shown = make("bdi", {}, text);
    return [
      make("dt", {}, make("bdi", {}, name)),
      make("dd", {}, safe ? make("a", { href: link, rel: "nofollow noopener noreferrer" }, shown) : shown),
    ];
  });
  return make("dl", { class: "manifest" }, ...pairs);
}

function leave() {
  if (history.state?.inside) history.back();
  else go({ entry: "", vs: "", all: "", track: view.all === "1" ? "all" : view.track });
}

dialog.addEventListener("close", () => opened && leave()); // by its button, Escape, or a click outside it
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
