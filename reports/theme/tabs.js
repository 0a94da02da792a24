"use strict";
// Makes tabs of titled panels: arrow keys, Home and End move between them. Without this script all panels are shown.
(function () {
  function select(tabs, index, focus) {
    tabs.forEach(function (tab, i) {
      const active = i === index;
      tab.setAttribute("aria-selected", String(active));
      tab.tabIndex = active ? 0 : -1;
      tab.panel.classList.toggle("ml-tab-hidden", !active);
    });
    if (focus) tabs[index].focus();
  }

  function keyTarget(key, index, count) {
    const targets = { ArrowRight: index + 1, ArrowDown: index + 1, ArrowLeft: index - 1, ArrowUp: index - 1, Home: 0, End: count - 1 };
    return key in targets ? (targets[key] + count) % count : null;
  }

  function build(set, number) {
    const list = document.createElement("div");
    list.className = "ml-tab-list";
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", "Candidates");
    const panels = Array.from(set.children).filter(function (child) { return child.classList.contains("ml-tab-panel"); });
    const tabs = panels.map(function (panel, index) {
      const tab = document.createElement("button");
      const title = panel.querySelector(".ml-tab-title");
      tab.type = "button";
      tab.className = "ml-tab";
      tab.id = "ml-tab-" + number + "-" + index;
      tab.setAttribute("role", "tab");
      tab.textContent = title ? title.textContent.trim() : String(index + 1);
      if (!panel.id) panel.id = tab.id + "-panel";
      tab.setAttribute("aria-controls", panel.id);
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      panel.tabIndex = 0;
      if (title) title.classList.add("ml-tab-title-used");
      tab.panel = panel;
      list.appendChild(tab);
      return tab;
    });
    tabs.forEach(function (tab, index) {
      tab.addEventListener("click", function () { select(tabs, index, false); });
      tab.addEventListener("keydown", function (event) {
        const target = keyTarget(event.key, index, tabs.length);
        if (target === null) return;
        event.preventDefault();
        select(tabs, target, true);
      });
    });
    if (!tabs.length) return;
    set.insertBefore(list, set.firstChild);
    select(tabs, 0, false);
    const wanted = tabs.findIndex(function (tab) { return "#" + tab.panel.id === window.location.hash; });
    if (wanted > 0) select(tabs, wanted, false);
  }

  document.querySelectorAll(".ml-tabs").forEach(build);
})();
