import { icon, say, word } from "./words.js";

// copies puts a button beside every [data-copy]. What is copied is the attribute, byte for
// byte, never the text that is seen: that may hold marks of direction.
export function copies(root) {
  for (const holder of root.querySelectorAll("[data-copy]")) {
    if (holder.dataset.copyReady) continue;
    holder.dataset.copyReady = "1";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy " + (holder.dataset.copyClass ?? "");
    button.id = holder.id ? "copy-" + holder.id : "";
    const label = holder.dataset.copyLabel ?? holder.getAttribute("aria-label") ?? "";
    button.append(icon("copy"));
    if (holder.dataset.copyText) button.append(document.createTextNode(holder.dataset.copyText));
    else button.setAttribute("aria-label", word("copyWord") + ": " + label);
    button.title = word("copyWord");
    button.addEventListener("click", () => copy(button, holder));
    holder.after(button);
    if (holder.matches("input")) holder.addEventListener("click", () => holder.select());
  }
}

// prints puts a button at each [data-print] that prints the page.
export function prints(root) {
  for (const holder of root.querySelectorAll("[data-print]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.id = "print";
    button.append(icon("print"), document.createTextNode(holder.dataset.print));
    button.addEventListener("click", () => window.print());
    holder.replaceWith(button);
  }
}

async function copy(button, holder) {
  if (!(await write(holder.dataset.copy))) {
    say(word("copyFailed"));
    if (holder.select) { holder.focus(); holder.select(); }
    return;
  }
  say(word("copied"));
  button.classList.add("done");
  button.firstChild.replaceWith(icon("check"));
  holder.dispatchEvent(new CustomEvent("postchi:copied", { bubbles: true }));
  setTimeout(() => {
    button.classList.remove("done");
    button.firstChild.replaceWith(icon("copy"));
  }, 2500);
}

// write tries the clipboard, which plain http hosts other than loopback do not have, and
// then the old way.
async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "hidden";
    document.body.append(area);
    area.select();
    let done = false;
    try { done = document.execCommand("copy"); } catch { done = false; }
    area.remove();
    return done;
  }
}
