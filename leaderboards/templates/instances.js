// Scores of an entry per instance, compared with another entry: as a plot and as a table.

const STATUS = { p: "played", l: "late", c: "crashed", i: "invalid action", "-": "not played" };

function instancesPicture(track, entry, other) {
  const held = track.keys.map((_, i) => i).filter((i) => entry.normalised[i] != null);
  held.sort((a, b) => entry.normalised[a] - entry.normalised[b]);
  const values = held.flatMap((i) => [entry.normalised[i], other?.normalised[i]]).filter((value) => value != null);
  const low = Math.max(-2, Math.min(-0.1, ...values)), high = 1.06;
  const top = 8, bottom = 222, y = (value) => top + ((high - Math.max(value, low)) / (high - low)) * (bottom - top);
  const x = (rank) => `${(4 + (94 * (rank + 0.5)) / held.length).toFixed(3)}%`;
  const marks = [];
  for (const [value, name, kind] of [[0, "0, reference", "zero"], [1, "1, bound", "one"]]) {
    marks.push(shape("line", { class: kind, x1: "4%", x2: "98%", y1: y(value), y2: y(value) }));
    marks.push(shape("text", { x: "4%", y: y(value) - 4 }, name));
  }
  held.forEach((i, rank) => {
    const [own, theirs] = [entry.normalised[i], other?.normalised[i]];
    if (theirs != null) {
      marks.push(shape("line", { class: "pair", x1: x(rank), x2: x(rank), y1: y(own), y2: y(theirs) }));
      marks.push(shape("circle", { class: "vs", cx: x(rank), cy: y(theirs), r: 3 }));
    }
    const label = `${named(track, i)}: ${written(own, 3)}${theirs == null ? "" : `; ${other.title}: ${written(theirs, 3)}`}`;
    const broken = entry.status[i] !== "p" ? " broken" : "";
    marks.push(shape("circle", { class: `own${broken}`, cx: x(rank), cy: y(own), r: 3.6 }, shape("title", {}, label)));
  });
  marks.push(shape("text", { x: "98%", y: 238, "text-anchor": "end" }, "instances, by this entry’s normalised score →"));
  const below = held.filter((i) => entry.normalised[i] < low).length;
  const about =
    `Normalised scores of ${held.length} instances between reference (0) and bound (1)` +
    (other ? `, filled dots; hollow dots are “${other.title}” on the same instances` : "") +
    (below ? `; ${below} below the axis are drawn at its edge` : "");
  return [
    make("p", { class: "note" }, about + ". Rings are episodes that were late, crashed or invalid."),
    shape("svg", { class: "strip", role: "img", "aria-label": about }, ...marks),
  ];
}

function named(track, i) {
  const [cell, index] = track.keys[i];
  return new Set(track.keys.map((key) => key[0])).size > 1 ? `${cell}, instance ${index}` : `instance ${index}`;
}

function instancesTable(track, entry, other) {
  const reference = track.entries.find((each) => each.entry === track.reference);
  const shown = other && other !== reference ? other : null;
  const heads = ["Instance", "Score", "Reference", ...(shown ? [shown.title] : []), "Bound", "Normalised", "Violations", "Status"];
  const rows = track.keys.map((_, i) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, named(track, i)),
      ...[
        written(entry.score[i], 6),
        written(reference?.score[i], 6),
        ...(shown ? [written(shown.score[i], 6)] : []),
        written(track.bound[i], 6),
        entry.normalised[i] == null ? "no headroom" : written(entry.normalised[i], 4),
        entry.violations[i] == null ? "–" : `${(100 * entry.violations[i]).toFixed(1)} %`,
        STATUS[entry.status[i]],
      ].map((text) => make("td", {}, text)),
    ),
  );
  const table = make(
    "table",
    {},
    make("caption", { class: "hidden" }, `Instances of ${entry.title}`),
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, make("bdi", {}, head))))),
    make("tbody", {}, ...rows),
  );
  const frame = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of the instances" }, table);
  return make("details", { id: "numbers" }, make("summary", {}, "Table of the instances"), frame);
}
