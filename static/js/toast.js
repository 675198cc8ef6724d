import { icon, word } from "./words.js";

// toasts can be closed. They stay until then, or until the next page: who reads slowly, or
// needs the Undo in it, is not hurried.
export function toasts(root) {
  for (const toast of root.querySelectorAll(".toast")) {
    const close = document.createElement("button");
    close.type = "button";
    close.className = "quiet small";
    close.setAttribute("aria-label", word("close"));
    close.append(icon("close"));
    close.addEventListener("click", () => toast.remove());
    toast.append(close);
  }
}
