"use strict";
// Draws the charts, sorts and opens the table, and follows the reader's theme and width.
let DATA = JSON.parse(document.getElementById("data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map();
let printing = false;

function theme() {
  const isDark = dark.matches && !printing;
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return printing
    ? { dark: false, ink: "#000000", faint: "#444444", line: "#bbbbbb", paper: "#ffffff", band: "#e8f1fa" }
    : { dark: isDark, ink: of("--ink"), faint: of("--faint"), line: of("--line"), paper: of("--paper"), band: of("--band") };
}

function chosen(name) {
  const select = document.getElementById(name);
  return select ? select.value : "overall";
}

function draw(element) {
  const narrow = element.clientWidth < 560;
  INKS = theme().dark ? DARK : LIGHT;
  const options = element.dataset.chart === "setting"
    ? scatter(DATA, Number(element.dataset.index), theme(), narrow, chosen)
    : CHARTS[element.dataset.chart](DATA, theme(), narrow, chosen);
  let instance = drawn.get(element);
  if (!instance) {
    const many = (DATA.settings.points.length > 400 && ["setting", "parallel"].includes(element.dataset.chart));
    instance = echarts.init(element, null, { renderer: many ? "canvas" : "svg" });
    drawn.set(element, instance);
  }
  instance.setOption(options, { notMerge: true });
}

function drawAll() {
  document.querySelectorAll(".chart").forEach(draw);
}

function fill(name, labels, redraw) {
  const select = document.getElementById(name);
  if (!select) return;
  for (const label of labels) select.add(new Option(label, label));
  select.addEventListener("change", () => redraw.forEach((chart) =>
    document.querySelectorAll(`.chart[data-chart="${chart}"]`).forEach(draw)));
}

function makeSettings() {
  const grid = document.getElementById("setting-grid");
  if (!grid) return;
  DATA.settings.settings.forEach((setting, index) => {
    const element = document.createElement("div");
    Object.assign(element, { className: "chart", id: "chart-setting-" + index });
    Object.assign(element.dataset, { chart: "setting", index });
    element.style.height = "270px";
    grid.append(element);
  });
}

function sortBy(table, heading) {
  const place = [...heading.parentNode.children].indexOf(heading);
  const rising = heading.getAttribute("aria-sort") !== "ascending";
  heading.parentNode.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const body = table.tBodies[0];
  const pairs = [...body.querySelectorAll("tr.row")].map((row) => [row, row.nextElementSibling]);
  const key = ([row]) => row.children[place].dataset.sort;
  const isNumber = pairs.every((pair) => key(pair) === undefined || !isNaN(Number(key(pair))));
  pairs.sort((a, b) => {
    if (key(a) === undefined || key(b) === undefined) return (key(a) === undefined) - (key(b) === undefined);
    const order = isNumber ? key(a) - key(b) : key(a).localeCompare(key(b));
    return rising ? order : -order;
  });
  body.append(...pairs.flat());
}

function wireTable() {
  const table = document.getElementById("leaderboard-table");
  if (!table) return;
  table.tHead.querySelectorAll("th").forEach((heading) =>
    heading.querySelector("button").addEventListener("click", () => sortBy(table, heading)));
  const toggle = (row) => {
    const detail = row.nextElementSibling;
    detail.hidden = !detail.hidden;
    row.setAttribute("aria-expanded", String(!detail.hidden));
  };
  table.tBodies[0].addEventListener("click", (event) => {
    const row = event.target.closest("tr.row");
    if (row) toggle(row);
  });
  table.tBodies[0].addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("tr.row")) toggle(event.target);
  });
}

function makeContents() {
  const contents = document.getElementById("contents");
  contents.replaceChildren();
  document.querySelectorAll("main > section").forEach((section) => {
    const link = document.createElement("a");
    link.href = "#" + section.id;
    link.textContent = section.querySelector("h2").textContent;
    contents.append(link);
  });
}

const PARTS = ["overall", "early", "middle", "late"];

function show() {
  fill("curve-part", [...PARTS, "penultimate", "final"], ["curves"]);
  fill("curve-axis", ["positions", "seconds of training"], ["curves"]);
  fill("setting-part", [...PARTS, "final"], ["importance", "setting", "parallel"]);
  fill("health-trial", DATA.health.map((one) => one.trial + " " + one.name), ["gradients", "updates", "dead"]);
  makeSettings();
  makeContents();
  wireTable();
}

show();
drawAll();
dark.addEventListener("change", drawAll);
window.addEventListener("beforeprint", () => { printing = true; drawAll(); });
window.addEventListener("afterprint", () => { printing = false; drawAll(); });
let waiting;
window.addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => drawn.forEach((instance, element) => { instance.resize(); draw(element); }), 150);
});
