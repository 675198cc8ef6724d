import { icon, say, word } from "./words.js";

// The alphabet and form of the server's generator: nothing that can be taken for another
// character, four groups of four, 79 bits.
const alphabet = "abcdefghjkmnpqrstuvwxyz23456789";

export function generate() {
  const chars = [];
  while (chars.length < 16) {
    for (const b of crypto.getRandomValues(new Uint8Array(32))) {
      if (b < 256 - (256 % alphabet.length) && chars.length < 16) chars.push(alphabet[b % alphabet.length]);
    }
  }
  return chars.join("").match(/.{4}/g).join("-");
}

// passwords adds to each [data-password]: show and hide for hidden ones, "another one" for
// generated ones, and a warning while the keyboard is Persian.
export function passwords(root) {
  for (const input of root.querySelectorAll("input[data-password]")) {
    if (input.dataset.ready) continue;
    input.dataset.ready = "1";
    const row = input.closest(".join") ?? wrap(input);
    if (input.dataset.password === "generate") row.append(again(input));
    else row.append(eye(input));
  }
  for (const input of root.querySelectorAll("input[data-password], input.tech, input[type=email]")) {
    watchKeyboard(input);
  }
}

function wrap(input) {
  const row = document.createElement("div");
  row.className = "join";
  input.replaceWith(row);
  row.append(input);
  return row;
}

function tool(name, label) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.append(icon(name));
  button.setAttribute("aria-label", label);
  button.title = label;
  return button;
}

function again(input) {
  const button = tool("again", word("generate"));
  button.addEventListener("click", () => {
    input.value = generate();
    say(word("generated"));
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  return button;
}

function eye(input) {
  const button = tool("eye", word("show"));
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    button.firstChild.replaceWith(icon(shown ? "eye" : "eyeoff"));
  });
  // The browser should keep what it knows as a password.
  input.form?.addEventListener("submit", () => { input.type = "password"; });
  return button;
}

function watchKeyboard(input) {
  if (input.dataset.keyboard) return;
  input.dataset.keyboard = "1";
  const note = document.createElement("p");
  note.className = "note";
  note.setAttribute("role", "status");
  note.hidden = true;
  (input.closest(".join") ?? input).after(note);
  input.addEventListener("input", () => {
    const persian = /[\u0600-\u06ff]/.test(input.value);
    note.hidden = !persian;
    note.textContent = persian ? word("keyboard") : "";
  });
}
