// What the console adds to htmx: dialogs, row menus, search by "/", copying, and care with what is typed.
// Everything here can also be done without it, on pages of its own.
"use strict";

const find = (selector, root = document) => root.querySelector(selector);
const dialog = find("#dialog");
const menu = find("#menu");
const live = find("#live");
let opener = null;

function say(text) {
  live.textContent = "";
  requestAnimationFrame(() => { live.textContent = text; });
}

// --- dialogs: links with data-dialog show their page's panel here ---

function load(link, id) {
  const headers = { "HX-Target": `div#${id}` }; // names the part of the page that is wanted
  return htmx.ajax("GET", link.getAttribute("href"), { target: `#${id}`, swap: "innerHTML", headers });
}

async function openDialog(link) {
  if (!dialog) return false;
  if (!dialog.open) opener = menuOpener ?? link;
  closeMenu();
  await load(link, "panel");
  if (!dialog.open) dialog.showModal();
  focusFirst();
  return true;
}

function focusFirst() {
  const first = find("[data-problem]", dialog) ?? find("[aria-invalid]", dialog) ?? find("[autofocus]", dialog) ?? find("#panel a, #panel button, #panel input", dialog);
  first?.focus();
}

function closeDialog() {
  for (const input of dialog.querySelectorAll("[data-secret]")) input.value = "";
  dialog.close();
}

function typedSomething() {
  return [...dialog.querySelectorAll("input:not([type=hidden]), textarea, select")].some((input) =>
    input.type === "checkbox" || input.type === "radio" ? input.checked !== input.defaultChecked
      : input.tagName === "SELECT" ? false : input.value !== input.defaultValue);
}

dialog?.addEventListener("close", () => {
  find("#panel").replaceChildren();
  opener?.isConnected && opener.focus();
  opener = null;
});
dialog?.addEventListener("click", (event) => {
  if (event.target === dialog && !typedSomething()) closeDialog();
});

// --- row menus: one popover for the whole page ---

let menuOpener = null;

async function openMenu(link) {
  if (menuOpener === link && menu.matches(":popover-open")) return closeMenu();
  await load(link, "menu");
  menuOpener = link;
  const box = link.getBoundingClientRect();
  menu.showPopover();
  const size = menu.getBoundingClientRect();
  const below = box.bottom + size.height + 8 < innerHeight;
  menu.style.top = `${below ? box.bottom + 4 : Math.max(8, box.top - size.height - 4)}px`;
  menu.style.left = `${Math.max(8, box.right - size.width)}px`;
  link.setAttribute("aria-expanded", "true");
  find("a, button", menu)?.focus();
}

function closeMenu() {
  if (menu?.matches(":popover-open")) menu.hidePopover();
}

menu?.addEventListener("toggle", (event) => {
  if (event.newState !== "closed" || !menuOpener) return;
  const link = menuOpener;
  menuOpener = null;
  link.removeAttribute("aria-expanded");
  if (!dialog?.open && (document.activeElement === document.body || menu.contains(document.activeElement))) link.focus();
});
menu?.addEventListener("keydown", (event) => {
  const items = [...menu.querySelectorAll("a, button")];
  const at = items.indexOf(document.activeElement);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    items[(at + step + items.length) % items.length].focus();
  } else if (event.key === "Home" || event.key === "End") {
    event.preventDefault();
    items.at(event.key === "Home" ? 0 : -1).focus();
  } else if (event.key === "Escape") {
    event.preventDefault();
    const link = menuOpener;
    closeMenu();
    link?.focus();
  }
});

// --- one listener for clicks ---

document.addEventListener("click", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  const link = event.target.closest("a, button");
  if (!link || !plain) return;
  if (link.matches("[data-close]") && dialog?.open) {
    event.preventDefault();
    closeDialog();
  } else if (link.matches("a[data-dialog]") && dialog) {
    event.preventDefault();
    openDialog(link);
  } else if (link.matches("a[href$='/actions']") && menu) {
    event.preventDefault();
    openMenu(link);
  } else if (link.matches("[data-copy]")) {
    navigator.clipboard?.writeText(link.dataset.copy).then(() => {
      const label = link.textContent;
      link.textContent = "Copied";
      say("Copied");
      setTimeout(() => { link.textContent = label; closeMenu(); }, 900);
    });
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || dialog?.open) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const search = find("[data-search]");
  if (search) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

// --- secrets: trimmed where that is said, held against other kinds' beginnings, gone once sent ---

document.addEventListener("paste", (event) => {
  const input = event.target;
  if (!input.matches?.("input[data-secret]")) return;
  setTimeout(() => {
    const trimmed = input.value.replace(/\s+/g, "");
    if (trimmed === input.value) return;
    input.value = trimmed;
    note(input, "Blanks around it were removed.");
  });
});
document.addEventListener("input", (event) => {
  if (event.target.matches("[data-secret]")) warnOfForeign(event.target);
  if (event.target.matches("[data-narrow]")) narrow(event.target);
  if (event.target.matches("[data-all]")) chooseAll(event.target);
  if (event.target.closest("#choices") || event.target.matches("[data-all]")) countChosen();
});

function note(input, text) {
  let line = input.parentElement.querySelector("[data-note]");
  if (!line) {
    line = document.createElement("p");
    line.className = "help";
    line.dataset.note = "";
    input.after(line);
  }
  line.textContent = text;
  say(text);
}

function warnOfForeign(input) {
  const box = find("[data-foreign]", input.form);
  const line = box && find("[data-foreign-text]", box);
  if (!line) return;
  const kinds = JSON.parse(box.dataset.foreign);
  const own = kinds[box.dataset.own] ?? [];
  const key = input.value.trim();
  const longest = (prefixes) => Math.max(0, ...prefixes.filter((each) => key.startsWith(each)).map((each) => each.length));
  let best = own.length ? longest(own) : Infinity, name = "";
  for (const [kind, prefixes] of Object.entries(kinds)) {
    if (longest(prefixes) > best) [best, name] = [longest(prefixes), kind];
  }
  box.hidden = !name;
  const text = name ? `This looks like a key for ${name}.` : "";
  if (line.textContent !== text) {
    line.textContent = text;
    if (text) say(text);
  }
}

function clearSecrets(form) {
  for (const input of form?.querySelectorAll("[data-secret]") ?? []) input.value = "";
}

addEventListener("pagehide", () => clearSecrets(document));

// --- long lists in a dialog ---

function narrow(search) {
  const wanted = search.value.trim().toLowerCase();
  for (const row of document.querySelectorAll(`${search.dataset.narrow} tbody tr`)) {
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
  }
}

function chooseAll(box) {
  for (const row of document.querySelectorAll(`${box.dataset.all} tbody tr:not([hidden])`)) {
    const input = find("input", row);
    if (input) input.checked = box.checked;
  }
}

function countChosen() {
  const count = find("[data-chosen]");
  if (count) count.textContent = ` (${document.querySelectorAll("#choices tbody input:checked").length})`;
}

// --- htmx: no polling of a hidden page, no secret kept after it was sent, focus where the answer is ---

document.addEventListener("htmx:config:request", (event) => {
  const { sourceElement, sourceEvent, request } = event.detail.ctx;
  if (document.hidden && sourceElement.getAttribute?.("hx-trigger")?.startsWith("every")) {
    event.preventDefault();
    return;
  }
  if (request.method === "GET" && sourceElement.matches("form")) {
    for (const [name, value] of [...request.body]) if (!value) request.body.delete(name); // a short address
  }
  if (request.method === "POST" && sourceElement.matches("form")) {
    setTimeout(() => clearSecrets(sourceElement));
  }
});
document.addEventListener("htmx:after:swap", (event) => {
  const target = event.detail.ctx?.target;
  if (target?.id === "panel") countChosen();
  if (target?.id === "panel" && dialog?.open) focusFirst();
});
document.addEventListener("htmx:error", () => {
  say("The console did not answer. Nothing was done that you can see here; try again.");
});
