import { say, word } from "./words.js";

// forms: a second click while a form is on its way does nothing; forms with data-confirm ask
// first; a domain's name proposes its customer's.
export function forms(root) {
  for (const form of root.querySelectorAll("form[method=post]")) {
    if (form.dataset.ready) continue;
    form.dataset.ready = "1";
    form.addEventListener("submit", (event) => {
      if (form.dataset.confirm && !form.dataset.confirmed) {
        event.preventDefault();
        ask(form.dataset.confirm, event.submitter?.textContent.trim() ?? word("yes")).then((yes) => {
          if (!yes) return;
          form.dataset.confirmed = "1";
          form.requestSubmit(event.submitter ?? undefined);
        });
        return;
      }
      if (form.dataset.sent) { event.preventDefault(); return; }
      if ("quiet" in form.dataset) { event.preventDefault(); quietly(form); return; }
      form.dataset.sent = "1";
      // After this turn, so that the button's own name and value are still sent.
      setTimeout(() => { for (const b of form.querySelectorAll("button[type=submit], button:not([type])")) b.disabled = true; });
    });
  }
  for (const name of root.querySelectorAll("[data-names]")) propose(name);
  for (const choice of root.querySelectorAll("select[data-shows]")) reveal(choice);
}

// Coming back by the history finds the buttons alive again.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    delete form.dataset.confirmed;
    for (const b of form.querySelectorAll("button:disabled")) b.disabled = false;
  }
});

// quietly sends a form without leaving the page, which may hold a password that is shown only
// once, and shows the notice that the answer has.
async function quietly(form) {
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const notice = page.getElementById("notice") ?? page.querySelector("main .card");
    document.getElementById("notice")?.remove();
    if (notice) {
      notice.id = "notice";
      form.closest(".actions").after(notice);
      say(notice.textContent.trim());
    }
  } catch {
    HTMLFormElement.prototype.submit.call(form);
  } finally {
    button.disabled = false;
  }
}

// ask shows a question in a dialog; the answer is a promise of true or false.
export function ask(question, yes) {
  const dialog = document.createElement("dialog");
  const text = document.createElement("p");
  text.id = "ask-text";
  text.textContent = question;
  const row = document.createElement("div");
  row.className = "actions";
  const no = document.createElement("button");
  no.type = "button";
  no.textContent = word("cancel");
  const go = document.createElement("button");
  go.type = "button";
  go.className = "bad";
  go.textContent = yes;
  row.append(no, go);
  dialog.append(text, row);
  dialog.setAttribute("aria-labelledby", "ask-text");
  document.body.append(dialog);
  return new Promise((resolve) => {
    let answer = false;
    no.addEventListener("click", () => dialog.close());
    go.addEventListener("click", () => { answer = true; dialog.close(); });
    dialog.addEventListener("close", () => { dialog.remove(); resolve(answer); });
    dialog.showModal();
  });
}

// propose fills the field named by data-names from the first label of the domain, until a
// person writes there.
function propose(source) {
  const target = document.getElementById(source.dataset.names);
  if (!target) return;
  let own = target.value !== "";
  target.addEventListener("input", () => { own = target.value !== ""; });
  source.addEventListener("input", () => {
    if (own) return;
    const host = source.value.trim().toLowerCase().replace(/^[a-z]+:\/\//, "").replace(/^www\./, "");
    const label = host.split(/[./]/)[0];
    const short = label ? label[0].toUpperCase() + label.slice(1) : "";
    const taken = [...document.querySelectorAll("#customer option")].some((o) => o.textContent === short);
    target.value = taken ? host.split("/")[0] : short;
  });
}

// reveal shows the element named by data-shows only for the value of data-when.
function reveal(choice) {
  const part = document.getElementById(choice.dataset.shows);
  if (!part) return;
  const turn = () => { part.hidden = choice.value !== choice.dataset.when; };
  choice.addEventListener("change", turn);
  turn();
}
