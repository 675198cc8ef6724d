import { say } from "./words.js";

// fragments: lists filter while a word is typed, and parts that wait for something are asked
// for again, for ten minutes at most and never while the page is hidden.
export function fragments(root, dress) {
  for (const form of root.querySelectorAll("form[data-live]")) live(form, dress);
  for (const part of root.querySelectorAll("[data-refresh]")) refresh(part, dress);
}

async function replace(id, url, dress, signal) {
  const answer = await fetch(url, { signal, headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return null;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(id);
  const old = document.getElementById(id);
  if (!fresh || !old) return null;
  if (old.isEqualNode(fresh)) return old;
  old.replaceChildren(...fresh.childNodes);
  dress(old);
  return old;
}

function live(form, dress) {
  const id = form.dataset.live;
  let timer = 0;
  let running = null;
  const run = async () => {
    running?.abort();
    running = new AbortController();
    const query = new URLSearchParams(new FormData(form));
    const url = form.getAttribute("action") + "?" + query;
    try {
      const part = await replace(id, url, dress, running.signal);
      if (!part) return;
      history.replaceState(null, "", url);
      say(part.querySelector("[data-count]")?.textContent.trim() ?? "");
    } catch { /* the button still works */ }
  };
  form.addEventListener("input", (event) => {
    if (!event.target.matches("input")) return;
    clearTimeout(timer);
    timer = setTimeout(run, 250);
  });
  for (const s of form.querySelectorAll("select")) s.addEventListener("change", run);
}

function refresh(part, dress) {
  const end = Date.now() + 10 * 60 * 1000;
  const turn = async () => {
    if (Date.now() > end) return;
    if (!document.hidden) {
      try { await replace(part.id, part.dataset.refresh, dress); } catch { /* next time */ }
    }
    setTimeout(turn, 4000);
  };
  setTimeout(turn, 4000);
}
