"use strict";
(() => {
  const tools = document.getElementById("tools");
  if (!tools) return;
  tools.hidden = false;
  const search = document.getElementById("search");
  const boxes = [...tools.querySelectorAll("input[type=checkbox]")];
  const groups = [...document.querySelectorAll("details.group")].map((element) => ({
    element,
    heading: (element.querySelector("summary").textContent + " " + (element.querySelector(".owners")?.textContent ?? "")).toLowerCase(),
    changes: [...element.querySelectorAll(".change")].map((change) => ({
      element: change,
      action: change.dataset.action,
      text: change.textContent.toLowerCase(),
    })),
  }));
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const actions = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const isFiltered = actions.size < boxes.length;
    let shown = 0;
    for (const group of groups) {
      let any = false;
      for (const change of group.changes) {
        const isShown = actions.has(change.action) &&
          words.every((word) => group.heading.includes(word) || change.text.includes(word));
        change.element.hidden = !isShown;
        any ||= isShown;
      }
      if (group.changes.length === 0) {
        any = !isFiltered && words.every((word) => group.heading.includes(word));
      }
      group.element.hidden = !any;
      shown += any ? 1 : 0;
    }
    document.getElementById("none").hidden = shown > 0;
  };
  const all = (open) => groups.forEach((group) => { group.element.open = open; });
  search.addEventListener("input", apply);
  boxes.forEach((box) => box.addEventListener("change", apply));
  document.getElementById("open").addEventListener("click", () => all(true));
  document.getElementById("close").addEventListener("click", () => all(false));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === search) {
      if (event.key === "Escape") { search.value = ""; apply(); search.blur(); }
      return;
    }
    if (event.key === "/") { event.preventDefault(); search.focus(); }
    else if (event.key === "o") all(true);
    else if (event.key === "c") all(false);
  });
})();
