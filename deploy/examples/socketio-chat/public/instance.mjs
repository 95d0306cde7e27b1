// An instance has one colour wherever it is named, so that "who is where" can be seen before it is read.

import { element } from "./dom.mjs";

const TONES = 6;

/** Neighbours such as chat-1 and chat-2 differ in their last character, and so in their tone. */
export function toneOf(instance) {
  return [...instance].reduce((sum, character) => sum + character.codePointAt(0), 0) % TONES;
}

/** Writes the instance's name and colour into an element of class `instance`. */
export function nameInstance(label, instance) {
  label.dataset.tone = toneOf(instance);
  label.textContent = instance;
}

export function instanceLabel(instance) {
  const label = element("span", { className: "instance" });
  nameInstance(label, instance);
  return label;
}
