// What scripts add to pages that work without them. Each module looks for its data-*
// attributes under a root, so that a replaced fragment is dressed like a whole page.
import { copies, prints } from "./copy.js";
import { passwords } from "./password.js";
import { forms } from "./forms.js";
import { fragments } from "./fragments.js";
import { toasts } from "./toast.js";
import { leaving } from "./leaving.js";

export function dress(root) {
  copies(root);
  prints(root);
  passwords(root);
  forms(root);
}

document.documentElement.classList.add("script");
dress(document);
fragments(document, dress);
toasts(document);
leaving(document);
