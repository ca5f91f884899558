"use strict";
// Tables that sort, and a page that prints whole.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  function makeSortable(table) {
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head, column));
      head.append(button);
    });
  }

  function sort(table, head, column) {
    const falling = head.getAttribute("aria-sort") === "ascending";
    all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(a.cells[column], b.cells[column], falling ? -1 : 1));
    table.tBodies[0].append(...rows);
  }

  function compare(a, b, direction) {
    const [left, right] = [sortKey(a), sortKey(b)];
    if (left === null || right === null) {
      return (left === null) - (right === null);
    }
    if (typeof left === "number" && typeof right === "number") {
      return direction * (left - right);
    }
    return direction * String(left).localeCompare(String(right), "en", { numeric: true });
  }

  function sortKey(cell) {
    if (cell.dataset.value !== undefined) {
      return Number(cell.dataset.value);
    }
    return cell.textContent.trim() || null;
  }

  // What is folded is unfolded, but for the long tables.
  function unfoldForPrint() {
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = all("details:not([open]):not(.long)");
      opened.forEach((fold) => fold.setAttribute("open", ""));
    });
    addEventListener("afterprint", () => opened.forEach((fold) => fold.removeAttribute("open")));
  }

  all("table[data-sortable]").forEach(makeSortable);
  unfoldForPrint();
})();
