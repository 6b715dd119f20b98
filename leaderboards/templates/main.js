// Event handlers: clicks, filters, theme and navigation.

function show() {
  showFilters();
  showTables();
  showDetail();
}

document.addEventListener("click", (event) => {
  const head = event.target.closest("section thead button");
  if (head) {
    const key = head.parentElement.dataset.key, down = head.parentElement.getAttribute("aria-sort") === "descending";
    const again = view.sort === key;
    go({ sort: key, dir: again ? (down ? "asc" : "desc") : "" });
    return;
  }
  const link = event.target.closest('a[href^="#"]');
  if (!link || !link.hash.includes("=") || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const wanted = Object.fromEntries(new URLSearchParams(link.hash.slice(1)));
  const whole = wanted.entry !== undefined && (view.track === "all" || view.all === "1");
  go({ entry: "", vs: "", ...wanted, all: whole ? "1" : "" });
});

filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("input", () => {
  const { q, kind, sort, feasible } = filters.elements;
  const dir = sort.value === view.sort ? view.dir : "";
  go({ q: q.value, kind: kind.value, sort: sort.value, dir, feasible: feasible.checked ? "1" : "" }, true);
});
document.getElementById("clear").addEventListener("click", () => {
  go({ q: "", kind: "", feasible: "" });
  filters.elements.q.focus();
});

const theme = document.getElementById("theme"), dusk = matchMedia("(prefers-color-scheme: dark)");

function setTheme(chosen) {
  if (chosen) document.documentElement.dataset.theme = chosen;
  const dark = (document.documentElement.dataset.theme ?? (dusk.matches ? "dark" : "light")) === "dark";
  theme.textContent = dark ? "Light colours" : "Dark colours";
  theme.value = dark ? "light" : "dark";
  running?.recolour();
}

function stored(value) {
  try {
    if (value) localStorage.setItem("theme", value);
    return localStorage.getItem("theme");
  } catch {
    return null; // some browsers store nothing for local files
  }
}

theme.addEventListener("click", () => setTheme((stored(theme.value), theme.value)));
dusk.addEventListener("change", () => setTheme());
addEventListener("hashchange", () => {
  view = readView(location.hash);
  show();
});

for (const element of document.querySelectorAll(".scripted:not(#none)")) element.hidden = false;
setTheme(["light", "dark"].includes(stored()) ? stored() : null);
view = readView(location.hash);
show();
