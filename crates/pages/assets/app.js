// What pages gain from a script: they follow what changes, say more under the pointer, and tell times
// in the reader's zone. Without it every page reads the same; it only has to be loaded again.
"use strict";
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // --- times: relative, UTC or the zone of this machine
  const words = ["relative", "utc", "local"];
  let shown = "relative";
  try { shown = localStorage.getItem("assay-times") || shown; } catch (_) { /* not kept, then */ }

  const far = (seconds) => {
    const s = Math.abs(seconds);
    if (s < 5) return "just now";
    const text = s < 90 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min`
      : s < 129600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
    return seconds >= 0 ? `${text} ago` : `in ${text}`;
  };
  const tell = (element) => {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const iso = at.toISOString();
    if (shown === "utc") element.textContent = `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
    else if (shown === "local") element.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    else element.textContent = far((Date.now() - at.getTime()) / 1000);
  };
  const tellAll = (root = document) => all("time[datetime]", root).forEach(tell);
  const chooser = one("#times");
  if (chooser) {
    one(".times").hidden = false;
    chooser.value = words.includes(shown) ? shown : "relative";
    chooser.addEventListener("change", () => {
      shown = chooser.value;
      try { localStorage.setItem("assay-times", shown); } catch (_) { /* not kept, then */ }
      tellAll();
    });
  }
  // On a machine whose clock is off, words made here would be wrong: those of the server stay.
  const said = Date.parse(document.documentElement.dataset.now || "");
  const clockIsRight = Math.abs(Date.now() - said) < 60000;
  if (shown !== "relative") tellAll();
  if (clockIsRight) setInterval(() => { if (!document.hidden) tellAll(); }, 15000);

  // --- the page follows: the parts that may change are taken from the same page, asked for again
  const main = one("main");
  let busy = false;
  let again = false;
  let last = 0;
  const active = (part) => part.contains(document.activeElement) && document.activeElement !== document.body;
  const follow = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const wait = 700 - (Date.now() - last);
      if (wait > 0) await new Promise((done) => setTimeout(done, wait));
      last = Date.now();
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of all("[data-part]")) {
        const other = one(`[data-part="${part.dataset.part}"]`, fresh);
        if (other && other.innerHTML !== part.innerHTML && !active(part)) {
          part.replaceChildren(...other.childNodes);
          if (shown !== "relative") tellAll(part);
          hover(part);
        }
      }
      if (!one("main", fresh).dataset.live && main.dataset.live) { stop(); }
    } catch (_) {
      // The server is away: the page keeps what it has, and the next turn asks again.
    } finally {
      busy = false;
      if (again) { again = false; follow(); }
    }
  };

  let stream = null;
  let timer = null;
  const poll = (seconds) => {
    clearInterval(timer);
    timer = setInterval(() => { if (!document.hidden) follow(); }, seconds * 1000);
  };
  const stop = () => { if (stream) stream.close(); stream = null; clearInterval(timer); };
  if (main && main.dataset.poll) poll(Number(main.dataset.poll));
  if (main && main.dataset.live && "EventSource" in window) {
    // The browser sends Last-Event-ID by itself when it connects again.
    stream = new EventSource(main.dataset.live);
    for (const kind of ["run", "task", "message"]) stream.addEventListener(kind, follow);
    stream.onerror = () => { if (stream && stream.readyState === 2) { stream = null; poll(5); } };
    addEventListener("pagehide", stop);
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && main && (main.dataset.poll || main.dataset.live)) follow();
  });

  // --- charts: the nearest point under the pointer, in words
  const hover = (root = document) => {
    for (const chart of all("[data-chart]", root)) {
      if (chart.dataset.ready) continue;
      chart.dataset.ready = "1";
      const dots = all("path.dot", chart).map((dot) => ({ dot, title: one("title", dot) }));
      if (!dots.length) continue;
      const tip = document.createElement("div");
      tip.className = "tip";
      tip.hidden = true;
      chart.append(tip);
      chart.addEventListener("pointermove", (event) => {
        let best = null;
        let least = 60;
        for (const each of dots) {
          const box = each.dot.getBoundingClientRect();
          const off = Math.abs(box.left + box.width / 2 - event.clientX);
          if (off < least) { least = off; best = { each, box }; }
        }
        tip.hidden = !best;
        if (!best) return;
        const bed = chart.getBoundingClientRect();
        tip.textContent = best.each.title.textContent;
        const left = best.box.left - bed.left + 10;
        tip.style.left = `${Math.max(0, Math.min(left, bed.width - tip.offsetWidth))}px`;
        tip.style.top = `${Math.max(0, best.box.top - bed.top - tip.offsetHeight - 8)}px`;
      });
      chart.addEventListener("pointerleave", () => { tip.hidden = true; });
    }
  };
  hover();

  // --- copying a command, and a file into the form that registers it
  for (const button of all("button[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
  const file = one("input[type=file][data-into]");
  if (file) {
    file.closest("label").hidden = false;
    file.addEventListener("change", async () => {
      const chosen = file.files[0];
      if (chosen) one(`#${file.dataset.into}`).value = await chosen.text();
    });
  }
  for (const form of all("form[data-ask]")) {
    form.addEventListener("submit", (event) => {
      if (!confirm(form.dataset.ask)) event.preventDefault();
    });
  }
})();
