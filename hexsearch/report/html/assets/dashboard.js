// Keeps a page of the dashboard up to date by server-sent events, without a reload.
const words = new DOMParser();

function replaceLive(markup) {
  const found = words.parseFromString(markup, "text/html").getElementById("live");
  document.getElementById("live").replaceWith(found);
}

// What the reader has chosen, opened and sorted stays as it is.
function remember() {
  const table = document.getElementById("leaderboard-table");
  const heading = table && table.querySelector("th[aria-sort]");
  return {
    selected: [...document.querySelectorAll("main select")].map((one) => [one.id, one.value]),
    opened: table ? [...table.querySelectorAll("tr.row[aria-expanded=true]")].map((row) => row.children[1].textContent) : [],
    sorted: heading && [heading.dataset.name, heading.getAttribute("aria-sort")],
    scrolled: table ? table.parentNode.scrollTop : 0,
  };
}

function restore(kept) {
  for (const [id, value] of kept.selected) {
    const select = document.getElementById(id);
    if (select && [...select.options].some((option) => option.value === value)) select.value = value;
  }
  const table = document.getElementById("leaderboard-table");
  if (!table) return;
  if (kept.sorted) {
    const heading = table.querySelector(`th[data-name="${kept.sorted[0]}"]`);
    if (heading) sortBy(table, heading);
    if (heading && heading.getAttribute("aria-sort") !== kept.sorted[1]) sortBy(table, heading);
  }
  for (const row of table.querySelectorAll("tr.row"))
    if (kept.opened.includes(row.children[1].textContent)) {
      row.nextElementSibling.hidden = false;
      row.setAttribute("aria-expanded", "true");
    }
  table.parentNode.scrollTop = kept.scrolled;
}

async function renew() {
  const answer = await fetch("parts");
  if (!answer.ok) return;
  const parts = await answer.json();
  document.getElementById("stamp").dataset.stamp = parts.stamp;
  const kept = remember(), top = window.scrollY;
  drawn.forEach((instance) => instance.dispose());
  drawn.clear();
  document.querySelector("header").innerHTML = parts.header;
  document.querySelector("main").innerHTML = parts.sections;
  document.title = parts.title;
  DATA = JSON.parse(parts.data);
  show();
  restore(kept);
  drawAll();
  window.scrollTo(0, top);
}

const events = new EventSource("events");
events.addEventListener("live", (event) => replaceLive(JSON.parse(event.data)));
events.addEventListener("report", (event) => {
  if (JSON.parse(event.data) !== document.getElementById("stamp").dataset.stamp) renew();
});
events.addEventListener("error", () => {
  const live = document.getElementById("live");
  if (live.querySelector(".gone")) return;
  const line = document.createElement("p");
  line.className = "state running gone";
  line.textContent = "The dashboard does not answer; what you see may be old.";
  live.prepend(line);
});
