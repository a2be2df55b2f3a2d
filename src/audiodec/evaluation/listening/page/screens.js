// What a trial looks like in each method, and the words around it.

import { element } from "./element.js";

const QUALITY = ["Bad", "Poor", "Fair", "Good", "Excellent"]; // BS.1534 and P.800 alike
const LETTERS = "ABCDEFGHIJKL";

const items = (...texts) => element("ul", {}, ...texts.map((text) => element("li", {}, text)));

const instructions = (heading, ...texts) => [
  element("section", { className: "card" }, element("h2", {}, heading), items(...texts),
    element("p", { className: "hint" },
      "Use headphones in a quiet room, set a comfortable level now and leave it. Every answer is "
      + "stored as you give it: you can reload or come back later.")),
];

/** The instructions, by method. */
export const WELCOME = {
  mushra: () => instructions(
    "How good does each version sound?",
    "Each trial has one recording in several versions, and the reference: the original.",
    "Switch between them as often as you like; they keep their place in the recording.",
    "Rate the quality of each version against the reference, from 0 to 100. Equal versions get "
    + "equal scores, small differences small ones.",
    "One of the versions is the reference itself: at least one score should be 100.",
    "The first trial is practice. It shows the range of what is to come and is not counted."),
  mos: () => instructions(
    "How good does it sound?",
    "Each trial is one recording. Listen to its end, then say how good it sounds.",
    "Judge each on its own, with the whole scale, by your first impression.",
    "The first trials are practice. They show the range of what is to come and are not counted."),
  abx: () => instructions(
    "Is X the same as A, or as B?",
    "A and B are two versions of one recording. X is one of the two.",
    "Switch between them as often as you like; they keep their place in the recording.",
    "When you hear no difference, guess: guesses are part of the test.",
    "The first trials are practice and are not counted."),
};

/** A trial of any method. `answer(scores, done)` stores and resolves to what comes next. */
export function screen(method, state, answer) {
  return new { mushra: Mushra, mos: Mos, abx: Abx }[method](state, answer);
}

class Trial {
  constructor(state, answer) {
    this.scores = [...state.scores];
    this.heard = new Set();
    this.answer = answer;
    this.stored = Promise.resolve(); // answers are sent one after the other
    this.done = element("button", { className: "main next", type: "button" },
      state.place < state.total || state.practice ? "Next" : "Finish");
    this.missing = element("span", { className: "hint" });
    this.play = element("button", { className: "play", type: "button", title: "Space" });
    this.place = element("input", { type: "range", min: 0, step: "any", value: 0 });
    this.place.setAttribute("aria-label", "Position in the recording");
    this.time = element("output", { className: "time" });
    this.play.addEventListener("click", () => this.toggle());
    this.place.addEventListener("input", () => this.player.seek(this.place.valueAsNumber));
    this.done.addEventListener("click", () => this.submit());
  }

  start(player, { complain, leave }) {
    Object.assign(this, { player, complain, leave });
    this.place.max = player.duration;
    this.keys = new AbortController();
    document.addEventListener("keydown", (event) => this.key(event), { signal: this.keys.signal });
    this.update();
    this.tick();
  }

  tick() {
    if (this.keys.signal.aborted) return;
    this.place.value = this.player.position;
    this.time.value = `${this.player.position.toFixed(1)} / ${this.player.duration.toFixed(1)} s`;
    requestAnimationFrame(() => this.tick());
  }

  toggle() {
    if (this.player.playing) this.player.pause();
    else this.player.play();
  }

  listen(index) {
    this.player.select(index);
    this.player.play();
  }

  rate(slot, score) {
    this.scores[slot] = score;
    this.update();
    const scores = [...this.scores];
    this.stored = this.stored.then(() => this.answer(scores, false)).then(
      () => this.complain(null), this.complain);
  }

  async submit() {
    if (this.done.disabled || this.leaving) return;
    this.leaving = true;
    this.update();
    await this.stored;
    try {
      const following = await this.answer([...this.scores], true);
      this.keys.abort();
      await this.leave(following);
    } catch (error) {
      this.leaving = false;
      this.update();
      this.complain(error);
    }
  }

  update() {
    if (!this.player) return;
    const { playing, selected } = this.player;
    if (playing) this.heard.add(selected);
    this.play.textContent = playing ? "Pause" : "Play";
    this.play.classList.toggle("playing", playing);
    this.choices.forEach((button, i) => button.setAttribute("aria-pressed", i === selected));
    const reason = this.lacks();
    this.missing.textContent = reason;
    this.done.disabled = Boolean(reason) || Boolean(this.leaving);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && event.key === "Enter") return;
    const onButton = event.target instanceof HTMLButtonElement;
    if (event.key === " " && !onButton) this.toggle();
    else if (event.key === "Enter" && !onButton) this.submit();
    else if (!this.letter(event.key.toUpperCase())) return;
    event.preventDefault();
  }

  choice(label, index, name) {
    const button = element("button", { className: "choice", type: "button", title: `Key ${label[0]}` },
      label);
    if (name) button.setAttribute("aria-label", name);
    button.addEventListener("click", () => this.listen(index));
    return button;
  }

  transport(...more) {
    return element("div", { className: "transport" }, this.play, this.place, this.time, ...more);
  }

  foot(keys) {
    return element("footer", {},
      element("p", { className: "keys" }, `Keys: ${keys}, Space play or pause, Enter next`),
      this.missing, this.done);
  }

  focus() {
    this.play.focus();
  }
}

class Mushra extends Trial {
  constructor(state, answer) {
    super(state, answer);
    const count = this.scores.length - 1; // the last is the open reference
    this.scores.length = count;
    const letters = [...LETTERS].slice(0, count);
    this.choices = letters.map((letter, i) => this.choice(letter, i, `Listen to ${letter}`));
    this.choices.push(this.choice("Reference", count));
    this.sliders = letters.map((letter, i) => this.slider(letter, i));
    this.values = letters.map(() => element("output"));
    const rows = letters.map((_, i) => element("div", { className: "row" }, this.choices[i],
      element("div", { className: "scale" }, this.sliders[i]), this.values[i]));
    const labels = element("div", { className: "row labels", "aria-hidden": true }, element("span"),
      element("div", {}, ...QUALITY.map((label) => element("span", {}, label))), element("span"));
    this.view = element("section", { className: "trial mushra" },
      this.transport(this.choices[count]),
      element("div", { className: "card" }, labels, ...rows),
      this.foot(`A to ${letters.at(-1)} listen, R reference, arrows rate`));
  }

  slider(letter, index) {
    const slider = element("input", {
      type: "range", min: 0, max: 100, step: 1, value: this.scores[index] ?? 50,
    });
    slider.setAttribute("aria-label", `Quality of ${letter}`);
    const rate = () => this.rate(index, slider.valueAsNumber);
    slider.addEventListener("change", rate);
    slider.addEventListener("input", () => {
      this.values[index].value = slider.value;
      slider.classList.add("rated");
    });
    slider.addEventListener("pointerup", () => { // a click on 50 changes nothing, but is a score
      if (this.scores[index] === null && slider.value === "50") rate();
    });
    return slider;
  }

  letter(key) {
    const index = key === "R" ? this.choices.length - 1 : LETTERS.indexOf(key);
    if (key.length !== 1 || !this.choices[index]) return false;
    this.listen(index);
    (this.sliders[index] ?? this.choices[index]).focus({ preventScroll: true });
    return true;
  }

  update() {
    super.update();
    this.scores.forEach((score, i) => {
      this.sliders[i].classList.toggle("rated", score !== null);
      this.values[i].value = score ?? "–";
      this.choices[i].closest(".row").classList.toggle("current", this.choices[i].getAttribute("aria-pressed") === "true");
    });
  }

  lacks() {
    if (this.choices.some((_, i) => !this.heard.has(i))) return "Listen to every version";
    return this.scores.includes(null) ? "Rate every version" : "";
  }
}

/** One answer out of a few, by button or digit. */
class Choosing extends Trial {
  radios(slot, answers) {
    this.inputs = answers.map(([score, label, key]) => {
      const input = element("input", { type: "radio", name: "answer", checked: this.scores[slot] === score });
      input.addEventListener("change", () => this.rate(slot, score));
      return { input, key, label: element("label", {}, input, element("kbd", {}, key), label) };
    });
    return element("fieldset", { className: "card" }, ...this.inputs.map(({ label }) => label));
  }

  digit(key) {
    const found = this.inputs.find((entry) => entry.key === key);
    if (found && !found.input.disabled) found.input.click();
    return Boolean(found);
  }
}

class Mos extends Choosing {
  constructor(state, answer) {
    super(state, answer);
    this.choices = [];
    this.ended = this.scores[0] !== null;
    this.place = element("progress", { value: 0 }); // heard from beginning to end
    this.place.setAttribute("aria-label", "Position in the recording");
    const answers = QUALITY.map((label, i) => [i + 1, label, String(i + 1)]).reverse();
    this.view = element("section", { className: "trial mos" }, this.transport(),
      element("h2", {}, "How good does it sound?"), this.radios(0, answers), this.foot("1 to 5 rate"));
  }

  letter(key) {
    return this.digit(key);
  }

  update(ended) {
    this.ended ||= ended === true;
    for (const { input } of this.inputs) input.disabled = !this.ended;
    super.update();
  }

  lacks() {
    if (!this.ended) return "Listen to the end";
    return this.scores[0] === null ? "Choose an answer" : "";
  }
}

class Abx extends Choosing {
  constructor(state, answer) {
    super(state, answer);
    this.choices = ["A", "X", "B"].map((letter) =>
      this.choice(letter, "ABX".indexOf(letter), `Listen to ${letter}`));
    const [a, x, b] = this.choices;
    const answers = this.radios(2, [[0, "X is the same as A", "1"], [1, "X is the same as B", "2"]]);
    this.view = element("section", { className: "trial abx" }, this.transport(),
      element("div", { className: "three" }, a, x, b), answers,
      this.foot("A, B, X listen, 1 and 2 answer"));
    this.choices = [a, b, x];
  }

  letter(key) {
    const index = key.length === 1 ? "ABX".indexOf(key) : -1;
    if (index < 0) return this.digit(key);
    this.listen(index);
    return true;
  }

  lacks() {
    if (this.choices.some((_, i) => !this.heard.has(i))) return "Listen to A, B and X";
    return this.scores[2] === null ? "Choose an answer" : "";
  }
}
