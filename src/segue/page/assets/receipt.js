// Draws the requests of a deploy with uPlot. Without it the page has the same facts as a table.
(() => {
  "use strict";
  const told = JSON.parse(document.getElementById("timeline").textContent);
  const place = document.getElementById("plot");
  const readout = document.getElementById("readout");
  const [AT, MS, OUTCOME, SIDE] = [0, 1, 2, 3];
  const SHORTEST = 0.01;  // ms: a logarithm needs more than 0
  const points = told.points;
  const at = points.map((point) => point[AT]);
  const took = points.map((point) => Math.max(point[MS], SHORTEST));
  const failed = (index) => points[index][OUTCOME] !== 0;
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;

  const colour = (name) => getComputedStyle(place).getPropertyValue(`--${name}`).trim();
  const font = (size) => `${size * devicePixelRatio}px system-ui, sans-serif`;
  const shownMs = (ms) => (ms >= 1000 ? `${+(ms / 1000).toPrecision(3)} s` : `${+ms.toPrecision(3)} ms`);

  // each side has a shape as well as a colour
  const shapes = {
    old: (path, x, y, r) => path.arc(x, y, r, 0, 2 * Math.PI),
    new: (path, x, y, r) => {
      path.moveTo(x, y - r * 1.35);
      path.lineTo(x + r * 1.35, y);
      path.lineTo(x, y + r * 1.35);
      path.lineTo(x - r * 1.35, y);
      path.closePath();
    },
    other: (path, x, y, r) => path.rect(x - r, y - r, 2 * r, 2 * r),
    unnamed: (path, x, y, r) => {
      path.moveTo(x, y - r * 1.2);
      path.lineTo(x + r * 1.2, y + r);
      path.lineTo(x - r * 1.2, y + r);
      path.closePath();
    },
  };

  function drawBands(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.font = font(11);
    ctx.textBaseline = "bottom";
    ctx.textAlign = "left";
    told.phases.forEach(([name, from, to], number) => {
      const left = Math.max(bbox.left, u.valToPos(from, "x", true));
      const right = Math.min(bbox.left + bbox.width, u.valToPos(to, "x", true));
      if (right <= left) return;
      ctx.fillStyle = colour(number % 2 ? "band-odd" : "band-even");
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      const pad = 4 * devicePixelRatio;
      if (ctx.measureText(name).width + 2 * pad < right - left) {
        ctx.fillStyle = colour("quiet");
        ctx.fillText(name, left + pad, bbox.top - 2 * devicePixelRatio);
      }
    });
    ctx.restore();
  }

  function drawTurns(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.font = `600 ${font(11)}`;
    ctx.textBaseline = "bottom";
    ctx.textAlign = "left";
    let free = bbox.left;
    told.turns.forEach(([name, when]) => {
      const x = Math.round(u.valToPos(when, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) return;
      ctx.strokeStyle = ctx.fillStyle = colour("text");
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top - 16 * devicePixelRatio);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const width = ctx.measureText(name).width;
      const left = Math.max(free, Math.min(x - width / 2, bbox.left + bbox.width - width));
      ctx.fillText(name, left, bbox.top - 16 * devicePixelRatio);
      free = left + width + 6 * devicePixelRatio;
    });
    ctx.restore();
  }

  function drawPoints(u) {
    const { ctx, bbox } = u;
    const r = (2 * points.length > u.width ? 2 : 3) * devicePixelRatio;
    const spots = points.map((_, index) => [
      u.valToPos(at[index], "x", true),
      u.valToPos(took[index], "y", true),
    ]);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left - 6, bbox.top - 6, bbox.width + 12, bbox.height + 12);
    ctx.clip();
    told.roles.forEach((role, side) => {
      ctx.beginPath();
      spots.forEach(([x, y], index) => {
        if (failed(index) || points[index][SIDE] !== side) return;
        ctx.moveTo(x + r, y);
        shapes[role](ctx, x, y, r);
      });
      ctx.fillStyle = colour(role);
      ctx.fill();
    });
    ctx.strokeStyle = colour("failed");
    const arm = 6 * devicePixelRatio;
    spots.forEach(([x, y], index) => {
      if (!failed(index)) return;
      ctx.globalAlpha = 0.25;
      ctx.lineWidth = devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.globalAlpha = 1;
      ctx.lineWidth = 2.5 * devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(x - arm, y - arm);
      ctx.lineTo(x + arm, y + arm);
      ctx.moveTo(x + arm, y - arm);
      ctx.lineTo(x - arm, y + arm);
      ctx.stroke();
    });
    if (chosen !== null) {
      ctx.strokeStyle = colour("text");
      ctx.lineWidth = 2 * devicePixelRatio;
      ctx.beginPath();
      ctx.arc(...spots[chosen], 9 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.stroke();
    }
    ctx.restore();
  }

  const power = (ms, round) => 10 ** round(Math.log10(ms));

  function heights(u, low, high) {
    const from = power(low ?? 1, Math.floor);
    return [from, Math.max(power(high ?? 10, Math.ceil), from * 10)];
  }

  function whole() {
    const end = Math.max(told.end, at[at.length - 1]);
    return [Math.min(0, at[0]), end || 1];
  }

  function axis() {
    return {
      font: "11px system-ui, sans-serif",
      stroke: () => colour("quiet"),
      grid: { stroke: () => colour("grid"), width: 1 },
      ticks: { stroke: () => colour("grid"), width: 1 },
    };
  }

  const size = () => ({ width: place.clientWidth, height: place.clientWidth < 560 ? 260 : 340 });
  const plot = new uPlot(
    {
      ...size(),
      padding: [36, 12, 0, 0],
      legend: { show: false },
      cursor: { points: { show: false }, y: false, drag: { x: true, y: false }, bind: { dblclick: () => () => showAll() } },
      scales: { x: { time: false }, y: { distr: 3, range: heights } },
      axes: [
        { ...axis(), values: (_, marks) => marks.map((mark) => `${+mark.toFixed(3)} s`) },
        {
          ...axis(),
          size: 58,
          values: (_, marks) => marks.map((mark) => (Number.isInteger(Math.log10(mark)) ? shownMs(mark) : "")),
          filter: (_, marks) => marks,
        },
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { drawClear: [drawBands], draw: [drawTurns, drawPoints] },
    },
    [at, took],
    place,
  );

  function tell(index) {
    chosen = index;
    const [when, ms, outcome, side] = points[index];
    const what = failed(index) ? `FAILED: ${told.outcomes[outcome]} after ${shownMs(ms)}` : shownMs(ms);
    const who = failed(index) && told.roles[side] === "unnamed" ? "" : `, ${told.labels[side]}`;
    readout.textContent = `Request ${index + 1} of ${points.length}, sent at ${when.toFixed(2)} s: ${what}${who}`;
    plot.redraw(false);
  }

  function nearest(left, top) {
    let best = null, least = Infinity;
    points.forEach((_, index) => {
      const x = plot.valToPos(at[index], "x") - left, y = plot.valToPos(took[index], "y") - top;
      if (x * x + y * y < least) [best, least] = [index, x * x + y * y];
    });
    return best;
  }

  plot.over.addEventListener("mousemove", () => {
    const { left, top } = plot.cursor;
    if (left >= 0 && plot.select.width === 0) tell(nearest(left, top));
  });
  plot.over.addEventListener("click", () => tell(nearest(plot.cursor.left, plot.cursor.top)));

  const last = points.length - 1;
  const nextFailure = (from, step) => {
    for (let index = from + step; index >= 0 && index <= last; index += step) if (failed(index)) return index;
    return from;
  };
  const keys = {
    ArrowRight: (now) => now + 1,
    ArrowLeft: (now) => now - 1,
    PageDown: (now) => now + 20,
    PageUp: (now) => now - 20,
    Home: () => 0,
    End: () => last,
    f: (now) => nextFailure(now, 1),
    F: (now) => nextFailure(now, -1),
  };
  place.addEventListener("keydown", (event) => {
    const step = keys[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    tell(Math.max(0, Math.min(last, step(chosen ?? -1))));
  });

  function show([from, to]) {
    plot.setScale("x", { min: from, max: to });
  }
  function showAll() {
    show(whole());
  }
  document.getElementById("whole").addEventListener("click", showAll);
  const around = document.getElementById("around");
  const switched = told.turns.find(([name]) => name === "switch");
  around.hidden = !switched;
  if (switched) around.addEventListener("click", () => show([switched[1] - 1, switched[1] + 1.5]));

  new ResizeObserver(() => plot.setSize(size())).observe(place);
  dark.addEventListener("change", () => plot.redraw(false));
  // paper is light, whatever the screen is
  const paper = (on) => () => {
    document.documentElement.classList.toggle("paper", on);
    plot.redraw(false);
  };
  addEventListener("beforeprint", paper(true));
  addEventListener("afterprint", paper(false));
  document.getElementById("picture").hidden = false;
  plot.setSize(size());
  showAll();
  if (!still.matches) place.classList.add("lively");
})();
