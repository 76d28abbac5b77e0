// The pinned gateway of the documentation: its address is kept in this browser, and every route and example is
// rewritten to it. Nothing here is sent anywhere. Without this script the pages show this console and its registry.
"use strict";

const KEY = "codevector.gateway";
const form = document.querySelector("#gateway");
const input = document.querySelector("#gateway-url");
const problem = document.querySelector("#gateway-problem");
const said = document.querySelector("#gateway-said");
const clear = document.querySelector("#gateway-clear");
const originals = new Map();

// Returns the origin of a gateway, or throws with a sentence that says what is wrong.
function gateway(text) {
  const typed = text.trim();
  const example = "for example https://gateway.example.com";
  if (!typed) throw new Error(`Enter your gateway's address, ${example}.`);
  if (/[\s"'`<>\\^{}|]/.test(typed)) throw new Error(`The address must not contain spaces or quotes: ${example}.`);
  const scheme = /^([a-z][a-z0-9+.-]*):(?!\d)/i.exec(typed)?.[1].toLowerCase();
  if (scheme && scheme !== "https" && scheme !== "http") throw new Error(`The address must begin with https:// or http://, ${example}.`);
  if (scheme && !/^https?:\/\/[^/]/i.test(typed)) throw new Error(`Two slashes and a host must follow ${scheme}:, ${example}.`);
  if (typed.includes("@")) throw new Error(`The address must not contain a user name or password: ${example}.`);
  if (!scheme && !/^[a-z0-9[]/i.test(typed)) throw new Error(`The address must begin with a scheme or a host, ${example}.`);
  let url;
  try {
    url = new URL(scheme ? typed : `https://${typed}`);
  } catch {
    throw new Error(`This is not an address of a host, ${example}.`);
  }
  if (url.pathname !== "/" || url.search || url.hash) throw new Error(`Enter the host alone, without a path or query: ${example}.`);
  if (!/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$|^\[[0-9a-f:.]+\]$/.test(url.hostname)) {
    throw new Error(`The host must consist of letters, digits, dashes and dots, ${example}.`);
  }
  return url;
}

// The browser's storage is open to whatever else is served on this host and port, so what it holds is checked again.
function pinned() {
  try {
    return gateway(localStorage.getItem(KEY) ?? "");
  } catch {
    return null;
  }
}

function rewrite(element, attribute, value) {
  const kept = originals.get(element) ?? (attribute ? element.getAttribute(attribute) : element.textContent);
  originals.set(element, kept);
  const text = value === null ? kept : value(kept);
  if (attribute) element.setAttribute(attribute, text);
  else element.textContent = text;
}

function apply() {
  const url = pinned();
  const port = url && (url.port || (url.protocol === "https:" ? "443" : "80"));
  const plain = url?.protocol === "http:";
  const each = (selector, attribute, value) => {
    for (const element of document.querySelectorAll(selector)) rewrite(element, attribute, url && value);
  };
  each("a[data-route]", "href", (path) => url.origin + path);
  each("[data-origin]", "", () => url.origin);
  each("[data-grpc]", "", () => `${plain ? "-plaintext " : ""}${url.hostname}:${port}`);
  each("[data-http2]", "", () => `${plain ? "--http2-prior-knowledge" : "--http2"} ${url.origin}`);
  input.value = url ? url.origin : "";
  clear.disabled = !url;
  return url;
}

function report(error, outcome) {
  problem.textContent = error;
  said.textContent = outcome;
  input.setAttribute("aria-invalid", error ? "true" : "false");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  let url;
  try {
    url = gateway(input.value);
  } catch (error) {
    report(error.message, "");
    input.focus();
    return;
  }
  try {
    localStorage.setItem(KEY, url.origin);
  } catch {
    report("This browser keeps nothing for this site: allow storage, and pin it again.", "");
    return;
  }
  apply();
  report("", `Pinned. Every route and example below leads to ${url.origin}.`);
});

clear.addEventListener("click", () => {
  localStorage.removeItem(KEY);
  apply();
  report("", "Cleared. Routes and examples lead to this console again.");
  input.focus();
});

addEventListener("storage", (event) => {
  if (event.key === KEY || event.key === null) apply();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy-example]");
  if (!button) return;
  const text = button.closest("figure").querySelector("pre").textContent;
  navigator.clipboard?.writeText(text).then(() => { said.textContent = "Copied."; });
});

apply();
