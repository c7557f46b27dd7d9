"use strict";
// What each chart shows, as options of ECharts. Colours are those of Okabe and Ito (2008), which
// readers with any kind of colour blindness can tell apart; lines also differ in dash and symbol.
const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#6b7280"];
const DARK = ["#56b4e9", "#f4793a", "#2fc59a", "#e39cc6", "#f0b429", "#9ad4f5", "#c9a86a", "#9aa5b1"];
let INKS = LIGHT;  // of the theme that is drawn
const DASHES = ["solid", "dashed", "dotted", [10, 3, 2, 3], [2, 6], [14, 4], [6, 2, 2, 2, 2, 2], [1, 3]];
const SYMBOLS = ["circle", "rect", "triangle", "diamond", "emptyCircle", "emptyRect", "emptyTriangle", "emptyDiamond"];

function count(number) {
  return number >= 999500 ? (number / 1e6).toFixed(1) + "M"
    : number >= 10000 ? Math.round(number / 1000) + "k" : String(number);
}

function digits(number, places = 4) {
  return number === null || number === undefined ? "-" : Number(number).toFixed(places);
}

function share(number) {
  return number === null || number === undefined ? "-" : Math.round(100 * number) + "%";
}

// Text from a study is never markup.
function plain(text) {
  return String(text).replace(/[&<>"]/g, (sign) => "&#" + sign.charCodeAt(0) + ";");
}

function short(text, most) {
  return text.length > most ? text.slice(0, most - 1) + "…" : text;
}

function frame(theme, narrow) {
  return {
    animation: false,
    backgroundColor: "transparent",
    textStyle: { color: theme.ink, fontFamily: "system-ui, 'DejaVu Sans', sans-serif" },
    grid: { left: 8, right: narrow ? 20 : 28, top: 58, bottom: 34, containLabel: true },
    tooltip: {
      trigger: "item", confine: true, backgroundColor: theme.paper, borderColor: theme.line,
      textStyle: { color: theme.ink, fontSize: 12 },
      extraCssText: "max-width: 340px; white-space: normal;",
    },
    aria: { enabled: true },
  };
}

// Room for names on the left.
function beside(narrow) {
  return { left: narrow ? 128 : 288, right: narrow ? 14 : 28, top: 24, bottom: 44, containLabel: false };
}

function axis(theme, name, more = {}) {
  return {
    type: "value", name, nameLocation: "middle", nameGap: 26, scale: true,
    nameTextStyle: { color: theme.faint }, axisLabel: { color: theme.faint, hideOverlap: true },
    axisLine: { onZero: false, lineStyle: { color: theme.line } }, splitLine: { lineStyle: { color: theme.line, opacity: 0.6 } },
    ...more,
  };
}

function upright(theme, name, more = {}) {
  return axis(theme, name, { nameLocation: "end", nameGap: 12, nameTextStyle: { color: theme.faint, align: "left" }, ...more });
}

function legend(theme, names) {
  return { type: "scroll", top: 0, left: 0, right: 0, data: names, textStyle: { color: theme.ink, fontSize: 11 },
    pageTextStyle: { color: theme.faint }, formatter: (name) => short(name, 44) };
}

// Bounds of an axis, in hundredths, that also hold those of these values that are not far away.
function reaching(values) {
  const near = (seen) => values.filter((value) => value !== null
    && Math.max(seen.min - value, value - seen.max) < 2 * Math.max(0.01, seen.max - seen.min));
  return {
    min: (seen) => Math.floor(100 * Math.min(seen.min, ...near(seen)) - 0.2) / 100,
    max: (seen) => Math.ceil(100 * Math.max(seen.max, ...near(seen)) + 0.2) / 100,
  };
}

// A horizontal or upright bar between two values, with its caps, at a place of a category axis.
function whisker(lowAt, highAt, flat, ink) {
  return {
    type: "custom", silent: true, z: 3,
    renderItem(parameters, api) {
      if (isNaN(api.value(lowAt)) || isNaN(api.value(highAt))) return null;
      const at = flat ? (value) => api.coord([value, api.value(0)]) : (value) => api.coord([api.value(0), value]);
      const [a, b] = [at(api.value(lowAt)), at(api.value(highAt))];
      const cap = (point) => ({ type: "line", style: { stroke: ink, lineWidth: 1.5 }, shape: flat
        ? { x1: point[0], y1: point[1] - 4, x2: point[0], y2: point[1] + 4 }
        : { x1: point[0] - 4, y1: point[1], x2: point[0] + 4, y2: point[1] } });
      return { type: "group", children: [
        { type: "line", shape: { x1: a[0], y1: a[1], x2: b[0], y2: b[1] }, style: { stroke: ink, lineWidth: 2 } }, cap(a), cap(b),
      ] };
    },
  };
}

// A shaded area behind the first rows of an upright category axis, with a text in its corner.
function band(rows, text, theme) {
  return {
    type: "custom", silent: true, z: 0, data: [[0]], encode: { y: 0 },
    renderItem({ coordSys }, api) {
      const height = api.size([0, 1])[1], y = api.coord([0, 0])[1] - height / 2;
      return { type: "group", children: [
        { type: "rect", shape: { x: coordSys.x, y, width: coordSys.width, height: rows * height }, style: { fill: theme.band } },
        { type: "text", x: coordSys.x + coordSys.width - 4, y: y + rows * height - 3,
          style: { text, align: "right", verticalAlign: "bottom", backgroundColor: theme.band, fill: theme.faint, fontSize: 11, fontFamily: "system-ui, 'DejaVu Sans', sans-serif" } },
      ] };
    },
  };
}

const CHARTS = {
  intervals(data, theme, narrow) {
    const rows = data.intervals.rows, baselines = Object.entries(data.intervals.baselines);
    const names = rows.map((row, place) => place + 1 + ". " + row.name);
    const tied = rows.filter((row) => row.group === 0).length;
    const points = rows.map((row, place) => ({ value: [row.value_loss, place], row }));
    return {
      ...frame(theme, narrow), grid: beside(narrow),
      xAxis: axis(theme, "value loss (Brier score), 95% interval", { ...reaching(baselines.map(([, value]) => value)),
        axisLabel: { color: theme.faint, hideOverlap: true, showMinLabel: false, showMaxLabel: false } }),
      yAxis: { type: "category", inverse: true, data: names, axisTick: { show: false }, axisLine: { show: false },
        axisLabel: { color: theme.ink, width: narrow ? 118 : 272, overflow: "truncate", fontSize: 11 } },
      series: [
        ...(tied > 1 ? [band(tied, "cannot be told apart", theme)] : []),
        { ...whisker(1, 2, true, INKS[0]), data: rows.map((row, place) => [place, row.low, row.high]),
          encode: { x: [1, 2], y: 0 } },
        { type: "scatter", z: 4, symbolSize: 9, itemStyle: { color: INKS[0] }, data: points,
          tooltip: { formatter: ({ data: { row } }) => `<b>${plain(row.name)}</b><br>value loss ${digits(row.value_loss)}`
            + (row.low === null ? "" : `<br>95% interval ${digits(row.low)} to ${digits(row.high)}`)
            + `<br>after ${count(row.positions)} positions` },
          markLine: baselines.length ? { symbol: "none", precision: 6, label: { formatter: "{b}", color: theme.faint, position: "start", rotate: 0, fontSize: 10 },
            lineStyle: { color: theme.faint, type: "dashed" },
            tooltip: { formatter: ({ name, value }) => `${plain(name)}: ${digits(value)}` },
            data: baselines.map(([name, value]) => ({ name, xAxis: value, value })) } : undefined },
      ],
    };
  },

  curves(data, theme, narrow, chosen) {
    const part = chosen("curve-part"), time = chosen("curve-axis") === "seconds of training";
    const curves = data.curves.curves, at = (curve) => (time ? curve.seconds : curve.positions);
    const line = (curve) => {
      const ink = curve.leader === null ? theme.line : INKS[curve.leader % INKS.length];
      return {
        type: "line", name: curve.trial + " " + curve.name, showSymbol: curve.leader !== null || curve.positions.length === 1,
        symbolSize: 5, z: curve.leader === null ? 1 : 3, symbol: curve.leader === null ? "circle" : SYMBOLS[curve.leader],
        itemStyle: { color: ink },
        lineStyle: { color: ink, width: curve.leader === null ? 1.2 : 2.2, type: curve.leader === null ? "solid" : DASHES[curve.leader] },
        emphasis: { focus: "series", lineStyle: { width: 3 } }, triggerLineEvent: true,
        data: curve.positions.map((positions, place) => ({ value: [at(curve)[place], curve.losses[part][place]], positions, curve, place })),
      };
    };
    const ended = curves.filter((curve) => curve.positions.length && curve.status === "pruned");
    const series = curves.filter((curve) => curve.leader === null).map(line)
      .concat(curves.filter((curve) => curve.leader !== null).sort((a, b) => a.leader - b.leader).map(line));
    series.push({
      type: "scatter", name: "pruned", symbol: "path://M0,0 L8,8 M8,0 L0,8", symbolSize: 7, z: 4,
      itemStyle: { color: "transparent", borderColor: theme.faint, borderWidth: 1.5 },
      data: ended.map((curve) => ({ value: [at(curve).at(-1), curve.losses[part].at(-1)], curve, place: curve.positions.length - 1 })),
      markLine: { symbol: "none", silent: true, precision: 6, data: [
        ...data.curves.baselines.filter((one) => one.losses[part] !== null).map((one) => ({ yAxis: one.losses[part], name: one.name,
          lineStyle: { color: theme.faint, type: "dashed" }, label: { formatter: one.name, position: "insideEndTop", color: theme.faint } })),
        ...(time ? [] : data.curves.rungs.map((rung) => ({ xAxis: rung,
          lineStyle: { color: theme.line, type: "solid", width: 2 }, label: { formatter: "rung " + count(rung), color: theme.faint, fontSize: 10, position: "end" } }))),
      ] },
    });
    return {
      ...frame(theme, narrow),
      grid: { left: 8, right: narrow ? 20 : 40, top: 84, bottom: 76, containLabel: true },
      legend: legend(theme, series.filter((one) => one.z === 3 || one.name === "pruned").map((one) => one.name)),
      tooltip: { ...frame(theme, narrow).tooltip, formatter({ data: point }) {
        if (!point || !point.curve) return "";
        const { curve, place } = point;
        return `<b>${plain(curve.trial)}</b> ${plain(curve.name)}, ${plain(curve.status)}<br>${curve.positions[place].toLocaleString("en")} positions, `
          + `${Math.round(curve.seconds[place])} s<br>` + ["overall", "early", "middle", "late", "final"].map((name) => `${name} ${digits(curve.losses[name][place])}`).join("<br>");
      } },
      dataZoom: [{ type: "inside" }, { type: "slider", height: 18, bottom: 8 }],
      xAxis: axis(theme, time ? "seconds of training" : "positions", { min: 0, axisLabel: { color: theme.faint, formatter: time ? undefined : count, hideOverlap: true } }),
      yAxis: upright(theme, "value loss" + (part === "overall" ? "" : ", " + part), { nameGap: 26, ...reaching(data.curves.baselines.map((one) => one.losses[part])) }),
      series,
    };
  },

  importance(data, theme, narrow, chosen) {
    const rows = data.settings.importances[chosen("setting-part")] || data.settings.importances.overall;
    return {
      ...frame(theme, narrow), grid: beside(narrow),
      xAxis: axis(theme, narrow ? "share of ranks explained, 95% interval" : "share of the trials' ranks that it explains, 95% interval", { min: 0, max: 1, axisLabel: { color: theme.faint, formatter: share } }),
      yAxis: { type: "category", inverse: true, data: rows.map((row) => row.name), axisLabel: { color: theme.ink, width: narrow ? 118 : 272, overflow: "truncate" } },
      series: [
        { type: "bar", barMaxWidth: 18, itemStyle: { color: INKS[5], borderColor: INKS[0] }, data: rows.map((row) => ({ value: row.share, row })),
          tooltip: { formatter: ({ data: { row } }) => `${plain(row.name)}: ${share(row.share)} (${share(row.low)} to ${share(row.high)})` } },
        { ...whisker(1, 2, true, theme.ink), z: 3, data: rows.map((row, place) => [place, row.low, row.high]), encode: { x: [1, 2], y: 0 } },
      ],
    };
  },

  parallel(data, theme, narrow, chosen) {
    const part = chosen("setting-part"), points = data.settings.points.filter((point) => point.losses[part] !== null);
    const losses = points.map((point) => point.losses[part]).sort((a, b) => a - b);
    const top = losses[Math.min(losses.length - 1, Math.floor(0.95 * losses.length))];
    const label = { color: theme.faint, backgroundColor: theme.paper, padding: [1, 3], borderRadius: 3 };  // over the lines
    const axes = data.settings.settings.map((setting, dim) => ({
      dim, name: short(setting.name.split(".").pop(), narrow ? 8 : 22), nameTextStyle: { color: theme.ink },
      axisLabel: { ...label, formatter: setting.choices ? (text) => short(text, narrow ? 7 : 18) : (value) => Number(value.toPrecision(3)) },
      type: setting.choices ? "category" : setting.log ? "log" : "value", ...(setting.choices ? { data: setting.choices } : { scale: true }),
    }));
    axes.push({ dim: axes.length, name: "value loss", nameTextStyle: { color: theme.ink }, scale: true, axisLabel: { ...label, formatter: (value) => digits(value, 3) } });
    return {
      ...frame(theme, narrow), parallelAxis: axes,
      parallel: { left: narrow ? 30 : 60, right: narrow ? 52 : 70, top: 50, bottom: 64, parallelAxisDefault: { axisLine: { lineStyle: { color: theme.line } } } },
      visualMap: { type: "continuous", dimension: axes.length - 1, min: losses[0], max: top > losses[0] ? top : losses[0] + 1e-6, orient: "horizontal", left: "center", bottom: 0,
        text: ["worse", "better"], textStyle: { color: theme.faint }, itemHeight: 120, calculable: false, formatter: (value) => digits(value, 3),
        inRange: { color: theme.dark ? ["#fde725", "#35b779", "#31688e", "#443983"] : ["#440154", "#31688e", "#35b779", "#d8c52a"] } },
      series: [{ type: "parallel", lineStyle: { width: 1.4, opacity: points.length > 300 ? 0.25 : 0.6 }, emphasis: { lineStyle: { width: 3, opacity: 1 } },
        data: points.map((point) => ({ name: point.trial, value: [...point.values.map((value) => (value === null ? "-" : value)), point.losses[part]] })),
        tooltip: { formatter: ({ name, value }) => `<b>${plain(name)}</b><br>` + data.settings.settings.map((setting, place) => `${plain(setting.name)}: ${plain(value[place])}`).join("<br>")
          + `<br>value loss ${digits(value.at(-1))}` } }],
    };
  },

  stages(data, theme, narrow) { return slices(data.slices, "stages", "stage of the game", theme, narrow); },
  to_end(data, theme, narrow) { return slices(data.slices, "to_end", "plies to the end of the game", theme, narrow); },

  reliability(data, theme, narrow) {
    const series = data.answers.calibrations.flatMap((one, place) => [
      { type: "line", name: one.name, symbol: SYMBOLS[place], symbolSize: 9, itemStyle: { color: INKS[place] }, lineStyle: { color: INKS[place], type: DASHES[place] },
        data: one.bins.map((bin) => ({ value: [bin.answer, bin.red_won], bin })) },
      { ...whisker(1, 2, false, INKS[place]), name: one.name, data: one.bins.map((bin) => [bin.answer, bin.low, bin.high]), encode: { x: 0, y: [1, 2] } },
    ]);
    series.push({ type: "line", name: "perfect", symbol: "none", silent: true, itemStyle: { color: theme.faint }, lineStyle: { color: theme.faint, type: "dashed", width: 1 }, data: [[0, 0], [1, 1]] });
    const percent = { min: 0, max: 1, axisLabel: { color: theme.faint, formatter: share } };
    return {
      ...frame(theme, narrow), legend: legend(theme, [...data.answers.calibrations.map((one) => one.name), "perfect"]),
      tooltip: { ...frame(theme, narrow).tooltip, formatter: ({ data: { bin }, seriesName }) => (bin
        ? `<b>${plain(seriesName)}</b><br>answers ${share(bin.answer)} on average<br>Red won ${share(bin.red_won)} (${share(bin.low)} to ${share(bin.high)})<br>${bin.positions} positions` : "") },
      xAxis: axis(theme, "answered chance that Red wins", percent), yAxis: upright(theme, "how often Red won", percent), series,
    };
  },

  lengths(data, theme, narrow) {
    const { moves, counts, width } = data.games;
    const name = (place) => (width === 1 ? String(moves[place]) : moves[place] + " to " + (moves[place] + width - 1));
    return {
      ...frame(theme, narrow),
      tooltip: { ...frame(theme, narrow).tooltip, formatter: ({ dataIndex, value }) => `${name(dataIndex)} moves: ${value.toLocaleString("en")} games` },
      grid: { left: 8, right: 20, top: 34, bottom: 34, containLabel: true },
      xAxis: { type: "category", data: moves.map((_, place) => name(place)), name: "moves", nameLocation: "middle", nameGap: 26,
        nameTextStyle: { color: theme.faint }, axisLabel: { color: theme.faint, hideOverlap: true }, axisLine: { lineStyle: { color: theme.line } } },
      yAxis: upright(theme, "games", { scale: false }),
      series: [{ type: "bar", barCategoryGap: "10%", itemStyle: { color: INKS[5], borderColor: INKS[0] }, data: counts }],
    };
  },

  gradients(data, theme, narrow, chosen) { return lines(watched(data, chosen), "gradients", "gradient norm before clipping", theme, narrow, true); },
  updates(data, theme, narrow, chosen) { return lines(watched(data, chosen), "updates", "size of a step relative to the weights", theme, narrow, true); },
  dead(data, theme, narrow, chosen) { return lines(watched(data, chosen), "dead", "share of dead units", theme, narrow, false); },
};

function watched(data, chosen) {
  return data.health.find((one) => one.trial + " " + one.name === chosen("health-trial")) || data.health[0];
}

function slices(found, cut, title, theme, narrow) {
  return {
    ...frame(theme, narrow), legend: legend(theme, found.lines.map((line) => line.name)),
    tooltip: { ...frame(theme, narrow).tooltip, formatter: ({ seriesName, name, value }) => `<b>${plain(seriesName)}</b><br>${plain(name)}: value loss ${digits(value)}` },
    xAxis: { type: "category", data: found[cut], name: title, nameLocation: "middle", nameGap: 26, nameTextStyle: { color: theme.faint }, axisLabel: { color: theme.ink, interval: 0, fontSize: narrow ? 10 : 12 }, axisLine: { lineStyle: { color: theme.line } } },
    yAxis: upright(theme, "value loss"),
    series: found.lines.map((line, place) => {
      const ink = line.is_baseline ? theme.faint : INKS[place % INKS.length];
      return { type: "line", name: line.name, symbol: SYMBOLS[place % SYMBOLS.length], symbolSize: 8, itemStyle: { color: ink },
        lineStyle: { color: ink, width: 2, type: line.is_baseline ? "dotted" : DASHES[place % DASHES.length] }, data: line[cut] };
    }),
  };
}

function lines(trial, part, title, theme, narrow, log) {
  const entries = Object.entries(trial[part]).filter(([, values]) => values.some((value) => value !== null));
  return {
    ...frame(theme, narrow), legend: legend(theme, entries.map(([name]) => name)),
    tooltip: { ...frame(theme, narrow).tooltip, formatter: ({ seriesName, value }) => `<b>${plain(seriesName)}</b><br>${count(value[0])} positions: ${Number(value[1]).toPrecision(3)}` },
    title: { text: title, top: 24, textStyle: { color: theme.faint, fontSize: 12, fontWeight: "normal" } },
    grid: { left: 8, right: 28, top: 56, bottom: 34, containLabel: true },
    xAxis: axis(theme, "positions", { min: 0, axisLabel: { color: theme.faint, formatter: count, hideOverlap: true } }),
    yAxis: axis(theme, "", log ? { type: "log", axisLabel: { color: theme.faint, formatter: (value) => Number(value.toPrecision(1)).toString() } } : { min: 0 }),
    series: entries.map(([name, values], place) => ({
      type: "line", name, symbol: SYMBOLS[place % SYMBOLS.length], symbolSize: 5, itemStyle: { color: INKS[place % INKS.length] },
      lineStyle: { color: INKS[place % INKS.length], type: DASHES[place % DASHES.length] },
      data: values.map((value, at) => [trial.positions[at], log && !(value > 0) ? null : value]),
    })),
  };
}

// Value loss against one setting.
function scatter(data, index, theme, narrow, chosen) {
  const part = chosen("setting-part"), setting = data.settings.settings[index];
  const points = data.settings.points.filter((point) => point.losses[part] !== null && point.values[index] !== null);
  const spread = (place) => ((place * 0.618034) % 1 - 0.5) * 0.5;
  const at = (point, place) => (setting.choices ? setting.choices.indexOf(String(point.values[index])) + spread(place) : point.values[index]);
  const texts = (setting.choices || []).map((text) => short(text, 22)), longest = Math.max(0, ...texts.map((text) => text.length));
  const slanted = texts.length * longest > 45;  // characters that fit below a narrow chart
  const names = setting.choices && { min: -0.5, max: texts.length - 0.5, interval: 1, splitLine: { show: false }, axisTick: { show: false },
    axisLabel: { color: theme.faint, hideOverlap: false, fontSize: 10, rotate: slanted ? 25 : 0, formatter: (value) => texts[value] ?? "", customValues: texts.map((_, place) => place) } };
  return {
    ...frame(theme, narrow),
    grid: { left: 8, right: 16, top: 40, bottom: slanted ? 32 + Math.round(2.4 * longest) : 40, containLabel: true },
    tooltip: { ...frame(theme, narrow).tooltip, formatter: ({ data: { point } }) => `<b>${plain(point.trial)}</b> ${plain(point.status)}<br>${plain(setting.name)}: ${plain(point.values[index])}<br>value loss ${digits(point.losses[part])}` },
    xAxis: axis(theme, setting.name, { nameGap: slanted ? 22 + Math.round(2.4 * longest) : 26, type: !setting.choices && setting.log ? "log" : "value", ...(names || { axisLabel: { color: theme.faint, hideOverlap: true, formatter: (value) => Number(value.toPrecision(2)).toString() } }) }),
    yAxis: upright(theme, "value loss"),
    series: [{ type: "scatter", symbolSize: points.length > 300 ? 4 : 7, itemStyle: { color: INKS[0], opacity: points.length > 300 ? 0.35 : 0.7 },
      data: points.map((point, place) => ({ value: [at(point, place), point.losses[part]], point })) }],
  };
}
