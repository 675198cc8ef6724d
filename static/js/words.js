// The few words that scripts need, in the language of the page: a <template id="words"> has
// them as data attributes.
const words = document.getElementById("words")?.dataset ?? {};

export function word(name) {
  return words[name] ?? "";
}

// say tells screen readers what has just happened.
export function say(text) {
  const status = document.getElementById("status");
  if (!status) return;
  status.textContent = "";
  requestAnimationFrame(() => { status.textContent = text; });
}

// icon returns a copy of an icon that the page brought for scripts.
export function icon(name) {
  const source = document.getElementById("words")?.content.querySelector(`[data-icon="${name}"] svg`);
  return source ? source.cloneNode(true) : document.createTextNode("");
}
