// Drawings of an episode: the map with users, hosts and moves, and the score over its slots.

const HUES = {
  light: ["#0068a3", "#c24e00", "#00775a", "#a0407f", "#7d6400", "#2a86bd", "#6a4aa5", "#8a3f2a", "#4f5b66", "#a80038"],
  dark: ["#56b4e9", "#f0924c", "#3fcaa4", "#e394c6", "#e3c650", "#9bd3f5", "#b8a2e3", "#dda58b", "#aab4be", "#ff8fa0"],
};

function palette(element) {
  const probe = element.appendChild(make("span"));
  const read = (name) => ((probe.style.color = `var(--${name})`), getComputedStyle(probe).color);
  const names = ["paper", "raised", "ink", "soft", "line", "strong", "accent", "warn", "other"];
  const colours = Object.fromEntries(names.map((name) => [name, read(name)]));
  probe.remove();
  const [red, green, blue] = colours.paper.match(/[\d.]+/g).map(Number);
  return { ...colours, hues: HUES[red + green + blue > 380 ? "light" : "dark"] };
}

function fitted(canvas) {
  const { width, height } = canvas.getBoundingClientRect(), ratio = Math.min(devicePixelRatio || 1, 2);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.lineCap = pen.lineJoin = "round";
  return { pen, width, height };
}

function line(pen, points, colour, width, dash = []) {
  pen.beginPath();
  points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.setLineDash(dash);
  pen.stroke();
  pen.setLineDash([]);
}

function dot(pen, [x, y], radius, colour, rim) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fillStyle = colour;
  pen.fill();
  if (rim) {
    pen.strokeStyle = rim;
    pen.lineWidth = 1.5;
    pen.stroke();
  }
}

const hostsAt = (world, film, slot) => [...(slot < 0 ? world.first : film.hosts[slot])].map((digit) => parseInt(digit, 36));

// `at` counts slots from 0; a fraction interpolates the users' positions.
function drawMap(canvas, world, film, at, colours) {
  const { pen, width } = fitted(canvas), pad = 20, scale = (width - 2 * pad) / world.area_m;
  const map = ([x, y]) => [pad + x * scale, width - pad - y * scale];
  const slot = Math.floor(at), share = at - slot, last = world.users.length - 1;
  const between = ([x, y], [u, v]) => [x + share * (u - x), y + share * (v - y)];
  const users = world.users[slot].map((xy, i) => map(between(xy, world.users[Math.min(slot + 1, last)][i])));
  const sites = world.sites.map(map), hosts = hostsAt(world, film, slot), before = hostsAt(world, film, slot - 1);
  const hue = (k) => colours.hues[k % colours.hues.length];
  grid(pen, width, pad, world.area_m, colours);
  const tail = users.length > 40 ? 1 : users.length > 1 ? 4 : last;
  users.forEach((xy, i) => {
    pen.globalAlpha = 0.4;
    for (let t = Math.max(1, slot - tail); t <= slot; t++) {
      const host = users.length > 1 ? hosts[i] : hostsAt(world, film, t)[i];
      line(pen, [map(world.users[t - 1][i]), map(world.users[t][i])], hue(host), 2);
    }
    line(pen, [map(world.users[slot][i]), xy], hue(hosts[i]), 2);
    pen.globalAlpha = users.length > 40 ? 0.35 : 0.6;
    line(pen, [xy, sites[hosts[i]]], hue(hosts[i]), users.length > 1 ? 1 : 2.5);
    pen.globalAlpha = 1;
  });
  if (world.access) line(pen, [users[0], sites[parseInt(world.access[slot], 36)]], colours.soft, 1.5, [3, 4]);
  const moves = new Map(); // twins by "from to"
  users.forEach((_, i) => {
    if (hosts[i] !== before[i]) moves.set(`${before[i]} ${hosts[i]}`, 1 + (moves.get(`${before[i]} ${hosts[i]}`) ?? 0));
  });
  for (const [way, twins] of moves) {
    const [from, to] = way.split(" ").map((k) => sites[k]);
    drawMove(pen, from, to, twins, share, colours);
  }
  sites.forEach((xy, k) => drawSite(pen, xy, k, hosts.filter((host) => host === k).length, hue(k), colours));
  const radius = users.length > 40 ? 3 : users.length > 1 ? 4 : 6;
  users.forEach((xy, i) => {
    if (hosts[i] !== before[i]) dot(pen, xy, radius + (users.length > 40 ? 2.2 : 3.5), colours.raised, colours.warn);
    dot(pen, xy, radius, hue(hosts[i]), colours.raised);
  });
}

function grid(pen, width, pad, area, colours) {
  const step = [10, 20, 50, 100, 200, 500, 1000, 2000].find((metres) => area / metres <= 6) ?? area;
  for (let metres = 0; metres <= area + 1e-6; metres += step) {
    const away = pad + (metres / area) * (width - 2 * pad);
    line(pen, [[away, pad], [away, width - pad]], colours.line, 0.75);
    line(pen, [[pad, width - away], [width - pad, width - away]], colours.line, 0.75);
  }
  pen.fillStyle = colours.soft;
  pen.font = "11px Arial, sans-serif";
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  pen.fillText(`grid ${step} m`, pad, width - pad / 2);
}

// Arc with an arrow and the number of twins if there are several; during the slot, a packet moves along it.
function drawMove(pen, a, b, twins, share, colours) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const bend = [(a[0] + b[0]) / 2 - 0.18 * dy, (a[1] + b[1]) / 2 + 0.18 * dx];
  const on = (t) => [0, 1].map((d) => (1 - t) ** 2 * a[d] + 2 * t * (1 - t) * bend[d] + t ** 2 * b[d]);
  line(pen, Array.from({ length: 25 }, (_, i) => on(i / 24)), colours.warn, 1.5 + 0.6 * Math.log2(twins));
  const [tip, back] = [on(0.62), on(0.54)], [ux, uy] = [tip[0] - back[0], tip[1] - back[1]];
  const long = Math.hypot(ux, uy) || 1, [px, py] = [(ux / long) * 8, (uy / long) * 8];
  const wing = (side) => [tip[0] - px + side * 0.6 * py, tip[1] - py - side * 0.6 * px];
  line(pen, [wing(1), tip, wing(-1)], colours.warn, 2);
  if (twins > 1) {
    const [x, y] = on(0.4);
    dot(pen, [x, y], 8, colours.warn, colours.raised);
    label(pen, [x, y], twins, colours.raised);
  }
  if (share > 0) dot(pen, on(Math.min(1, share / 0.8)), 4, colours.warn, colours.raised);
}

function drawSite(pen, [x, y], k, twins, hue, colours) {
  const half = 10;
  pen.beginPath();
  pen.roundRect(x - half, y - half, 2 * half, 2 * half, 3);
  pen.fillStyle = twins ? hue : colours.raised;
  pen.fill();
  pen.strokeStyle = twins ? colours.raised : colours.strong;
  pen.lineWidth = 1.5;
  pen.stroke();
  label(pen, [x, y], k, twins ? colours.raised : colours.soft);
}

function label(pen, [x, y], text, colour) {
  pen.fillStyle = colour;
  pen.font = "bold 11px Arial, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(String(text), x, y + 0.5);
}

// Scores of films over slots, the played part in full colour.
function drawCurve(canvas, films, at, colours) {
  const { pen, width, height } = fitted(canvas), slots = films[0].score.length;
  const scores = films.flatMap((film) => film.score), low = Math.min(...scores), high = Math.max(...scores);
  const left = 62, right = width - 12, top = 12, bottom = height - 16;
  const x = (slot) => left + (slots > 1 ? slot / (slots - 1) : 0.5) * (right - left);
  const y = (score) => (high > low ? bottom - ((score - low) / (high - low)) * (bottom - top) : (top + bottom) / 2);
  pen.font = "11px Arial, sans-serif";
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  pen.fillStyle = colours.soft;
  for (const score of new Set([low, high])) {
    line(pen, [[left, y(score)], [right, y(score)]], colours.line, 1);
    pen.fillText(written(score, 3), left - 8, y(score));
  }
  films.forEach((film, i) => {
    const points = film.score.map((score, slot) => [x(slot), y(score)]), colour = [colours.accent, colours.other][i];
    pen.globalAlpha = 0.4;
    line(pen, points, colour, 1.5, i ? [5, 4] : []);
    pen.globalAlpha = 1;
    line(pen, points.slice(0, Math.floor(at) + 1), colour, 2, i ? [5, 4] : []);
    film.violated.forEach((broken, slot) => {
      if (!broken) return;
      const [cx, cy] = [x(slot), height - 9 + 5 * i];
      line(pen, [[cx - 2.5, cy - 2.5], [cx + 2.5, cy + 2.5]], colours.warn, 1.5);
      line(pen, [[cx - 2.5, cy + 2.5], [cx + 2.5, cy - 2.5]], colours.warn, 1.5);
    });
    dot(pen, points[Math.floor(at)], 4, colour, colours.raised);
  });
  line(pen, [[x(at), top - 6], [x(at), bottom + 6]], colours.ink, 1);
  return (px) => Math.min(slots - 1, Math.max(0, ((px - left) / (right - left)) * (slots - 1)));
}
