// Tables: sorting within groups, filters, and brackets around ties.

const filters = document.getElementById("filters");
const sections = [...document.querySelectorAll("section.track")];

function showTables() {
  const words = view.q.toLowerCase().split(/\s+/).filter(Boolean);
  const all = view.track === "all" || view.all === "1";
  let seen = 0, total = 0, tables = 0;
  for (const section of sections) {
    const chosen = all || section.dataset.track === view.track;
    let left = 0;
    for (const body of section.querySelectorAll("tbody")) {
      const rows = [...body.querySelectorAll("tr[data-entry]")];
      const barred = view.feasible === "1" && body.className === "infeasible";
      let any = false;
      for (const row of rows) {
        const found = words.every((word) => row.dataset.search.includes(word));
        row.hidden = barred || !found || (view.kind !== "" && row.dataset.kind !== view.kind);
        any ||= !row.hidden;
        if (chosen && body.className !== "unranked") {
          total += 1;
          left += row.hidden ? 0 : 1;
        }
      }
      body.hidden = !any;
      sort(body, rows);
    }
    section.hidden = !chosen || left === 0;
    seen += left;
    tables += left > 0;
    showOrder(section);
  }
  const few = `${seen} of ${total} entries in ${tables} ${tables === 1 ? "track" : "tracks"}`;
  document.getElementById("count").textContent = seen === total ? few.replace(/^\d+ of /, "") : few;
  document.getElementById("none").hidden = seen > 0;
}

function falling(section) {
  if (view.dir !== "") return view.dir === "desc";
  return section.querySelector(`th[data-key="${view.sort}"] button`).dataset.falling === "1";
}

function sort(body, rows) {
  const way = falling(body.closest("section")) ? -1 : 1;
  const place = (row) => Number(row.dataset.place || Infinity);
  const value = new Map(rows.map((row) => [row, row.querySelector(`.${view.sort}[data-value]`).dataset.value]));
  const compare = (a, b) => {
    const [x, y] = [value.get(a), value.get(b)];
    if (x === "" || y === "") return (x === "") - (y === ""); // missing values last, in both directions
    const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : Number(x) - Number(y);
    return way * order || place(a) - place(b);
  };
  rows.forEach((row, i) => (row.dataset.order ??= i));
  const sorted = [...rows].sort((a, b) => compare(a, b) || a.dataset.order - b.dataset.order);
  if (sorted.some((row, i) => row !== rows[i])) body.append(...sorted); // moving rows would lose the focus
}

function showOrder(section) {
  const down = falling(section);
  for (const head of section.querySelectorAll("thead th")) {
    if (head.dataset.key === view.sort) head.setAttribute("aria-sort", down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  const byPlace = view.sort === "place";
  section.classList.toggle("by-place", byPlace);
  const rows = [...section.querySelectorAll("tbody.feasible tr:not([hidden])")];
  rows.forEach((row, i) => {
    row.classList.toggle("starts", rows[i - 1]?.dataset.place !== row.dataset.place);
    row.classList.toggle("ends", rows[i + 1]?.dataset.place !== row.dataset.place);
  });
}

function showFilters() {
  for (const name of ["q", "kind", "sort"]) {
    const field = filters.elements[name];
    if (field.value !== view[name]) field.value = view[name];
  }
  filters.elements.feasible.checked = view.feasible === "1";
  const current = view.all === "1" ? "all" : view.track;
  for (const link of document.querySelectorAll(".tracks a")) {
    if (link.dataset.track === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}
