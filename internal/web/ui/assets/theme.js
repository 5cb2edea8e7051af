"use strict";
// Before anything is painted: the theme that was chosen here, if one was.
(() => {
  let t = null;
  try { t = localStorage.getItem("theme"); } catch { /* no storage, no choice */ }
  if (t === "light" || t === "dark") document.documentElement.dataset.theme = t;
})();
