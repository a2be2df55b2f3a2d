// From the name of a listener through every trial to the end. The server knows where one is.

import { Player } from "./player.js";
import { WELCOME, screen } from "./screens.js";
import { element } from "./element.js";

const main = document.querySelector("main");
const key = "audiodec-listener";
let test = null;
let token = localStorage.getItem(key);

/** Ask the server; a refusal becomes an Error with its reason. */
async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    keepalive: true, // an answer under way survives the closing of the page
  };
  let response;
  try {
    response = await fetch(`api${path}`, options);
  } catch {
    throw new Error("The test cannot be reached. Nothing is lost: try again in a moment.");
  }
  const data = await response.json().catch(() => ({ error: "The test has a problem." }));
  if (!response.ok) throw Object.assign(new Error(data.error), { status: response.status });
  return data;
}

function complain(error) {
  const alert = document.querySelector("#alert");
  alert.hidden = !error;
  alert.textContent = error ? error.message : "";
}

function show(...nodes) {
  complain(null);
  main.replaceChildren(...nodes);
  window.scrollTo(0, 0);
}

function showProgress(state) {
  const bar = document.querySelector("#progress");
  bar.hidden = !state || state.finished;
  if (bar.hidden) return;
  const phase = state.practice ? "Practice" : "Trial";
  bar.querySelector("span").textContent = `${phase} ${state.place} of ${state.total}`;
  bar.querySelector("progress").max = state.total;
  bar.querySelector("progress").value = state.place - 1;
}

function welcome() {
  const name = element("input", {
    id: "name", maxLength: 40, required: true, autocomplete: "off", spellcheck: false,
  });
  const form = element("form", { className: "card start" },
    element("label", { htmlFor: "name" }, "Choose a name"),
    element("p", { className: "hint" },
      "Any name that is yours alone in this test. The same name goes on where you stopped."),
    element("div", { className: "inline" }, name, element("button", { className: "main" }, "Start")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      token = (await ask("/listener", { name: name.value })).token;
      localStorage.setItem(key, token);
      next(await ask(`/${token}`));
    } catch (error) {
      complain(error);
    }
  });
  showProgress(null);
  show(...WELCOME[test.method](), form);
  name.focus({ preventScroll: true });
}

function finish() {
  const again = element("button", { type: "button" }, "Another listener");
  again.addEventListener("click", () => {
    localStorage.removeItem(key);
    welcome();
  });
  show(element("section", { className: "card finish" },
    element("h2", {}, "That was all. Thank you!"),
    element("p", {}, "Your answers are stored. You can close this page."),
    again));
}

async function next(state) {
  showProgress(state);
  if (state.finished) return finish();
  show(element("p", { className: "hint", role: "status" }, "Loading the sounds …"));
  const trial = screen(test.method, state, (scores, done) =>
    ask(`/${token}/answer`, { trial: state.trial, scores, done }));
  const player = new Player(state.rate, test.method !== "mos", (ended) => trial.update(ended));
  const urls = state.scores.map((_, i) => `api/${token}/sound/${state.trial}/${i}`);
  try {
    await player.load(urls);
  } catch (error) {
    const retry = element("button", { type: "button" }, "Try again");
    retry.addEventListener("click", () => next(state));
    show(retry);
    return complain(error);
  }
  trial.start(player, {
    complain,
    leave: async (following) => {
      await player.close();
      next(following);
    },
  });
  show(trial.view);
  trial.focus();
}

try {
  test = await ask("");
  document.title = test.title;
  document.querySelector("#title").textContent = test.title;
  const state = token && await ask(`/${token}`).catch((error) => {
    if (error.status !== 404) throw error;
  });
  if (state) next(state);
  else welcome();
} catch (error) {
  complain(error);
}
