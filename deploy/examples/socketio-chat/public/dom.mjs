// The little this page needs of a view library. Text goes in through textContent only, never as markup.

/** An element with properties and children: `element("p", { className: "hint" }, "text")`. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/**
 * Makes the children of `list` match `items` by key: new ones are made, gone ones removed, the rest kept and updated.
 * Keeping them is the point: a button that has the focus keeps it through an update.
 */
export function renderList(list, items, { key, make, update }) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let place = list.firstElementChild;
  for (const item of items) {
    const itemKey = key(item);
    let child = old.get(itemKey);
    old.delete(itemKey);
    if (!child) {
      child = make(item);
      child.dataset.key = itemKey;
    }
    if (child === place) place = place.nextElementSibling;
    else list.insertBefore(child, place);
    update(child, item);
  }
  for (const child of old.values()) child.remove();
}

/** `plural(2, "person", "people")` is "2 people". */
export const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/** Shows the sentence under a form, and marks its field; an empty sentence clears both. */
export function showProblem(form, sentence) {
  form.querySelector(".problem").textContent = sentence;
  for (const field of form.querySelectorAll("input")) {
    if (sentence) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
}
