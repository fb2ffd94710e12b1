"use strict";
(() => {
  const root = document.documentElement;

  // Colours: figures are drawn with the colours that the page has now, and again when the theme changes.
  const probe = document.body.appendChild(document.createElement("i"));
  probe.hidden = true;
  const colour = (name) => {
    probe.style.color = `var(--${name}, var(--m-other))`;
    return getComputedStyle(probe).color;
  };
  const draw = (plot) => {
    const figure = JSON.parse(plot.nextElementSibling.textContent);
    const narrow = plot.clientWidth < 420;
    const pressed = [...plot.closest(".block").querySelectorAll('[data-pick][aria-pressed="true"]')];
    const picked = pressed.map((button) => button.dataset.pick);
    for (const trace of figure.data) {
      if (picked.length && !picked.includes(trace.meta.method)) trace.opacity = (trace.opacity || 1) * 0.12;
      const own = colour(`m-${trace.meta.method}`);
      if (trace.line) trace.line.color = own;
      if (trace.marker) trace.marker.color = own;
      if (trace.marker && trace.marker.line) trace.marker.line.color = colour("card");
      if (trace.error_y) trace.error_y.color = own;
    }
    const layout = figure.layout;
    layout.font = { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 12.5, color: colour("soft") };
    for (const axis of [layout.xaxis, layout.yaxis]) {
      Object.assign(axis, { gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("line"),
        tickcolor: colour("line"), ticks: "outside", title: { ...axis.title, standoff: 8 }, automargin: true });
      if (axis.minor) axis.minor.tickcolor = colour("line");
    }
    layout.hoverlabel = { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } };
    Plotly.react(plot, figure.data, layout, { displayModeBar: false, displaylogo: false, scrollZoom: false });
  };
  const drawAll = () => document.querySelectorAll(".plot").forEach(draw);
  drawAll();
  const resized = new ResizeObserver((entries) => entries.forEach((entry) => Plotly.Plots.resize(entry.target)));
  document.querySelectorAll(".plot").forEach((plot) => resized.observe(plot));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  // Names pressed in the legend stand out in the figures of their task; where none is pressed, all do.
  document.querySelectorAll("[data-pick]").forEach((button) => button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
    button.closest(".block").querySelectorAll(".plot").forEach(draw);
  }));

  const themes = ["auto", "light", "dark"];
  const themeButton = document.getElementById("theme");
  themeButton.addEventListener("click", () => {
    const next = themes[(themes.indexOf(root.dataset.theme || "auto") + 1) % themes.length];
    root.dataset.theme = next;
    themeButton.textContent = `Theme: ${next}`;
    drawAll();
  });

  // Players: a range input chooses the step; frames are in the page already.
  const players = [...document.querySelectorAll("[data-player]")].map((panel) => {
    const frames = [...panel.querySelectorAll("[data-frame]")].sort((a, b) => a.dataset.frame - b.dataset.frame);
    const slider = panel.querySelector("input");
    const button = panel.querySelector(".controls button");
    const status = panel.querySelector(".status span");
    const halting = panel.querySelector(".halting");
    const screen = panel.querySelector(".screen");
    const last = frames.length - 1;
    let timer = null;

    const show = (step) => {
      frames.forEach((frame, index) => {
        const piece = frame.tagName === "LI";
        frame.hidden = piece ? index > step : index !== step;
        frame.classList.toggle("now", index === step);
      });
      const now = frames[step];
      slider.value = step;
      slider.setAttribute("aria-valuetext", `step ${step + 1} of ${frames.length}: ${now.dataset.status}`);
      status.textContent = (last ? `${step + 1}/${frames.length} · ` : "") + now.dataset.status;
      halting.hidden = !("halting" in now.dataset);
      if (!halting.hidden) {
        halting.firstElementChild.textContent = `halts: ${Number(now.dataset.halting).toFixed(2)}`;
        halting.lastElementChild.style.setProperty("--share", `${100 * now.dataset.halting}%`);
      }
      screen.scrollTop = frames[0].tagName === "LI" ? screen.scrollHeight : 0;
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      status.setAttribute("aria-live", "polite");
      button.textContent = "▶";
      button.setAttribute("aria-label", button.dataset.play);
    };
    const play = () => {
      stop();
      status.setAttribute("aria-live", "off");
      button.textContent = "❚❚";
      button.setAttribute("aria-label", "Pause");
      let step = Number(slider.value) >= last ? 0 : Number(slider.value);
      show(step);
      timer = setInterval(() => {
        step += 1;
        if (step <= last) show(step);
        if (step >= last) stop();
      }, Math.min(700, Math.max(60, 8000 / frames.length)));
    };
    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
    button.addEventListener("click", () => (timer ? stop() : play()));
    show(last);
    return { panel, play, rewind: () => show(0), last };
  });
  document.querySelectorAll("[data-play-all]").forEach((button) => {
    button.addEventListener("click", () => {
      const here = players.filter((p) => button.closest("section").contains(p.panel) && p.last > 0);
      here.forEach((p) => { p.rewind(); p.play(); });
    });
  });
  root.dataset.ready = "yes";
})();
