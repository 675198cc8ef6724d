import { word } from "./words.js";
import { ask } from "./forms.js";

// leaving asks once before a page is left whose password was shown for the only time and
// neither copied, selected nor printed.
export function leaving(root) {
  const secret = root.querySelector("[data-unseen]");
  if (!secret) return;
  let seen = false;
  const done = () => { seen = true; };
  root.addEventListener("postchi:copied", done);
  secret.addEventListener("copy", done);
  secret.addEventListener("select", done);
  addEventListener("beforeprint", done);
  root.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (seen || !link || link.getAttribute("href").startsWith("#") || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    done();
    ask(word("leave"), word("leaveYes")).then((yes) => { if (yes) location.assign(link.href); });
  });
}
