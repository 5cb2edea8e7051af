"use strict";
(() => {
  const $ = (sel, from = document) => from.querySelector(sel);
  const all = (sel, from = document) => from.querySelectorAll(sel);

  // Times, in the zone of whoever looks; the exact one on hover.
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
  const year = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
  function dayOf(t, now) {
    const days = Math.round((new Date(t).setHours(0, 0, 0, 0) - new Date(now).setHours(0, 0, 0, 0)) / 864e5);
    if (days === 0) return "";
    if (days === -1) return "yesterday ";
    if (days === 1) return "tomorrow ";
    return (t.getFullYear() === now.getFullYear() ? day : year).format(t) + " ";
  }
  function took(ms) {
    const s = Math.max(0, ms / 1000), n = Math.floor(s);
    if (s < 10) return s.toFixed(1) + " s";
    if (s < 60) return n + " s";
    if (s < 3600) return Math.floor(n / 60) + " min " + (n % 60) + " s";
    if (s < 172800) return Math.floor(n / 3600) + " h " + Math.floor(n / 60) % 60 + " min";
    return Math.floor(n / 86400) + " days";
  }
  function ago(t, now) {
    const s = (now - t) / 1000;
    if (s < 5) return "just now";
    if (s < 60) return Math.floor(s) + " s ago";
    if (s < 3600) return Math.floor(s / 60) + " min ago";
    return dayOf(t, now) + clock.format(t);
  }
  function times(from) {
    const now = new Date();
    for (const e of all("time[data-time]", from)) {
      const t = new Date(e.dateTime);
      if (isNaN(t)) continue;
      const how = e.dataset.time;
      const text = how === "ago" ? ago(t, now) : how === "exact" ? dayOf(t, now) + t.toLocaleTimeString() : dayOf(t, now) + clock.format(t);
      if (e.textContent !== text) e.textContent = text;
      e.title = exact.format(t);
    }
    for (const e of all(".elapsed[data-since]", from)) e.textContent = took(now - new Date(e.dataset.since));
    const trouble = $("[data-trouble]"), icon = $("link[rel=icon]");
    const want = icon.dataset[trouble ? "trouble" : "well"];
    if (icon.getAttribute("href") !== want) icon.setAttribute("href", want);
  }
  times(document);
  setInterval(() => { if (!document.hidden) times(document); }, 1000);
  // Before the browser draws what came, and after what was settled in it.
  for (const event of ["htmx:afterSwap", "htmx:afterSettle"]) document.addEventListener(event, () => times(document));

  // What changes, while somebody looks: browsers allow few connections to one
  // host, so that a hidden tab gives its own up.
  const path = document.body.dataset.live;
  let stream = null, lost = null, wait = 1000;
  // The server said a change of state: pieces of the page ask anew, but for
  // those that are about other runs.
  function change(runs) {
    for (const e of all("[data-only]")) e.dataset.stale = !runs || runs.includes(e.dataset.only) ? "1" : "";
    if (window.htmx) htmx.trigger(document.body, "bellhop:change");
  }
  document.addEventListener("htmx:beforeRequest", (ev) => {
    const e = ev.detail.elt, by = ev.detail.requestConfig && ev.detail.requestConfig.triggeringEvent;
    if (by && by.type === "bellhop:change" && e.dataset.only && e.dataset.stale === "") ev.preventDefault();
    // What is being ticked stays until it was used.
    if (by && by.type === "bellhop:change" && e.id === "runs" && $("input:checked", e)) ev.preventDefault();
  });
  function offline(is) { $("#offline").hidden = !is; }
  function open() {
    if (!path || stream || document.hidden) return;
    stream = new EventSource(path);
    stream.addEventListener("hello", () => {
      offline(false);
      wait = 1000;
      lost = null;
      change(null); // what happened meanwhile, also since the page was made
    });
    stream.addEventListener("change", (ev) => change(JSON.parse(ev.data)));
    stream.onerror = () => {
      lost = lost || Date.now();
      if (Date.now() - lost > 1500) offline(true);
      if (stream.readyState === EventSource.CLOSED) { // refused: the session may have ended
        stream = null;
        setTimeout(async () => {
          try {
            const r = await fetch(path, { method: "HEAD", headers: { Accept: "text/event-stream" } });
            if (r.status === 401) { location.reload(); return; }
          } catch { offline(true); }
          open();
        }, wait);
        wait = Math.min(wait * 2, 15000);
      }
    };
  }
  function close() { if (stream) { stream.close(); stream = null; lost = lost || Date.now(); } }
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (ev) => { if (ev.persisted) { lost = Date.now(); open(); } });
  // htmx itself is read after this file has been: it is there when the page is.
  document.addEventListener("DOMContentLoaded", open);

  // What somebody has folded or opened stays so when a page is made anew.
  if (window.Idiomorph) Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, e) => !(name === "open" && e.tagName === "DETAILS");

  // A fault is shown, not swallowed.
  document.addEventListener("htmx:beforeSwap", (ev) => {
    const status = ev.detail.xhr.status;
    if (status >= 400 && status !== 401) { ev.detail.shouldSwap = true; ev.detail.isError = false; }
  });
  document.addEventListener("htmx:sendError", () => {
    const p = document.createElement("p");
    p.className = "flash bad";
    p.textContent = "Not done: the server does not answer. Try again in a moment.";
    $("#flash").replaceChildren(p);
  });
  let fade = null;
  new MutationObserver(() => {
    clearTimeout(fade);
    if ($("#flash .ok")) fade = setTimeout(() => $("#flash").replaceChildren(), 8000);
  }).observe($("#flash"), { childList: true });

  document.addEventListener("change", (ev) => {
    const name = ev.target.dataset && ev.target.dataset.all;
    if (name) for (const e of all(`input[name="${name}"]`, ev.target.form)) e.checked = ev.target.checked;
  });
  document.addEventListener("keydown", (ev) => {
    if (ev.key === "Enter" && ev.target.matches("code.copy")) ev.target.click();
  });
  document.addEventListener("click", (ev) => {
    const b = ev.target.closest("button, code.copy");
    if (!b) return;
    if (b.matches("[data-theme-button]")) {
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      try { localStorage.setItem("theme", root.dataset.theme); } catch { /* it lasts as long as the page */ }
    } else if (b.matches("[data-menu]")) {
      const open = $("#nav").classList.toggle("open");
      b.setAttribute("aria-expanded", open);
    } else if (b.matches("[data-type]")) {
      const i = $("#say");
      i.value = b.dataset.type;
      i.form.requestSubmit();
    } else if (b.matches("[data-answer]")) {
      const i = $("#say");
      i.value = b.dataset.answer;
      i.form.requestSubmit();
      b.closest(".choices").remove();
    } else if (b.matches("code.copy, [data-copy]")) {
      const text = b.dataset.copy || b.textContent;
      if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => {
        b.dataset.copied = "1";
        setTimeout(() => delete b.dataset.copied, 1200);
      }, () => {});
    }
  });

  // The line on the page Ask: completion, and what was said before.
  const say = $("#say");
  if (say) {
    const list = $("#words"), form = say.form, said = [];
    let at = 0, chosen = -1, asked = 0;
    const hide = () => { list.hidden = true; chosen = -1; say.setAttribute("aria-expanded", "false"); say.removeAttribute("aria-activedescendant"); };
    const head = () => say.value.slice(0, say.value.length - (say.value.match(/\S*$/)[0]).length);
    const take = (word) => { say.value = head() + word + " "; hide(); say.focus(); look(); };
    const choose = (i) => {
      const items = all("li", list);
      if (!items.length) return;
      chosen = (i + items.length) % items.length;
      items.forEach((e, n) => e.setAttribute("aria-selected", n === chosen));
      items[chosen].scrollIntoView({ block: "nearest" });
      say.setAttribute("aria-activedescendant", items[chosen].id);
    };
    async function look() {
      const n = ++asked, line = say.value;
      if (!line.trim() || say.selectionStart !== line.length) return hide();
      let words = [];
      try {
        const r = await fetch("/ask/complete?line=" + encodeURIComponent(line));
        if (r.ok) words = await r.json();
      } catch { /* no completion then */ }
      if (n !== asked || document.activeElement !== say) return;
      words = words.filter((w) => w !== line.slice(head().length)).slice(0, 40);
      if (!words.length) return hide();
      list.replaceChildren(...words.map((w, i) => {
        const li = document.createElement("li");
        li.id = "word-" + i;
        li.setAttribute("role", "option");
        li.setAttribute("aria-selected", "false");
        li.textContent = w;
        li.addEventListener("mousedown", (ev) => { ev.preventDefault(); take(w); });
        return li;
      }));
      chosen = -1;
      list.hidden = false;
      say.setAttribute("aria-expanded", "true");
    }
    let soon = null;
    say.addEventListener("input", () => { clearTimeout(soon); soon = setTimeout(look, 90); });
    say.addEventListener("blur", hide);
    say.addEventListener("keydown", (ev) => {
      const items = all("li", list);
      if (ev.key === "Tab" && !list.hidden && items.length) { ev.preventDefault(); take(items[Math.max(chosen, 0)].textContent); }
      else if (ev.key === "Enter" && !list.hidden && chosen >= 0) { ev.preventDefault(); take(items[chosen].textContent); }
      else if (ev.key === "Escape") hide();
      else if (ev.key === "ArrowDown" && !list.hidden) { ev.preventDefault(); choose(chosen + 1); }
      else if (ev.key === "ArrowUp" && !list.hidden) { ev.preventDefault(); choose(chosen < 0 ? items.length - 1 : chosen - 1); }
      else if (ev.key === "ArrowUp" && at > 0) { ev.preventDefault(); say.value = said[--at]; }
      else if (ev.key === "ArrowDown" && at < said.length) { ev.preventDefault(); say.value = said[++at] || ""; }
    });
    form.addEventListener("htmx:afterRequest", (ev) => {
      if (ev.target !== form || !ev.detail.successful) return;
      if (said[said.length - 1] !== say.value) said.push(say.value);
      at = said.length;
      say.value = "";
      hide();
      say.focus();
    });
    form.addEventListener("submit", hide);
    // What was asked back is answered, or not open any more.
    form.addEventListener("htmx:beforeRequest", () => { for (const e of all(".choices")) e.remove(); });
  }
})();
