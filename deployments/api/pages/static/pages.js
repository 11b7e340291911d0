// What the pages do by themselves: states that change, and checks while somebody types. Without it they work too.
"use strict";

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
const visible = () =>
  document.hidden
    ? new Promise((done) => document.addEventListener("visibilitychange", done, { once: true })).then(visible)
    : Promise.resolve();

// Times are written in UTC; whoever reads them has a clock of his own.
function localTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (isNaN(moment)) continue;
    time.title = time.dateTime;
    const options = time.dataset.only === "time" ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "medium" };
    time.textContent = moment.toLocaleString([], options);
  }
}

// The page of a job: the server answers when the job has changed, with what is to be shown then.
async function followJob(live) {
  const said = document.querySelector("[data-said]");
  while (live.dataset.seen) {
    await visible();
    try {
      const answer = await fetch(`${live.dataset.live}?seen=${live.dataset.seen}`, { headers: { Accept: "text/html" } });
      if (answer.redirected) return location.reload(); // to sign in again
      if (answer.status === 200) {
        const part = new DOMParser().parseFromString(await answer.text(), "text/html").body.firstElementChild;
        localTimes(part);
        const inside = live.contains(document.activeElement) && document.activeElement.id;
        live.replaceChildren(...part.childNodes);
        if (inside) document.getElementById(inside)?.focus();
        live.dataset.seen = part.dataset.seen;
        if (said) said.textContent = part.dataset.says;
      } else {
        if ([401, 403, 404].includes(answer.status)) return location.reload();
        await pause(answer.status === 204 ? 0.5 : 5);
      }
    } catch {
      await pause(5);
    }
  }
}

// A list of jobs: the badges of those that have not ended.
async function followList(list) {
  const said = document.querySelector("[data-said]");
  for (;;) {
    const open = [...list.querySelectorAll("[data-open]")];
    if (!open.length) return;
    await pause(2);
    await visible();
    const query = new URLSearchParams(open.map((badge) => ["id", badge.dataset.open]));
    try {
      const answer = await fetch(`${list.dataset.states}?${query}`);
      if ([401, 403].includes(answer.status)) return location.reload();
      if (!answer.ok) continue;
      const states = await answer.json();
      for (const badge of open) {
        const now = states[badge.dataset.open];
        if (!now || now.state === badge.textContent) continue;
        badge.textContent = now.state;
        badge.className = `badge ${now.tone}`;
        if (said) said.textContent = `Job ${badge.dataset.open.slice(0, 8)}: ${now.state}`;
        if (now.final) delete badge.dataset.open;
      }
    } catch {
      await pause(5);
    }
  }
}

// The form: what the server says of it as it stands, half a second after the last change.
function checkForm(form) {
  const place = document.getElementById("check");
  let timer, running;
  const check = async () => {
    running?.abort();
    running = new AbortController();
    place.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.dataset.check, { method: "POST", body: new FormData(form), signal: running.signal });
      const text = await answer.text();
      if (answer.ok || answer.status === 422) {
        place.innerHTML = text;
        for (const input of form.elements) {
          const wrong = place.querySelector(`[data-field="${CSS.escape(input.name)}"]`);
          if (wrong) input.setAttribute("aria-invalid", "true");
          else input.removeAttribute("aria-invalid");
        }
      }
      place.removeAttribute("aria-busy");
    } catch (error) {
      if (error.name !== "AbortError") place.removeAttribute("aria-busy");
    }
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(check, 500);
  };
  form.addEventListener("input", soon);
  form.addEventListener("change", soon);
  if (form.elements.program.value) soon();
}

// What cannot be taken back is asked twice, and nothing is sent twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sure && !confirm(form.dataset.sure)) return event.preventDefault();
  // After the form has been read: a button that is off is not sent.
  setTimeout(() => form.querySelectorAll("button").forEach((button) => (button.disabled = true)));
});
addEventListener("pageshow", () => document.querySelectorAll("button:disabled").forEach((each) => (each.disabled = false)));

localTimes(document);
document.querySelectorAll("[data-live]").forEach(followJob);
document.querySelectorAll("[data-states]").forEach(followList);
document.querySelectorAll("form[data-check]").forEach(checkForm);
