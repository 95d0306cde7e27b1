// The console: one stream of events, each with all that is shown. It changes nothing.

const RECONNECT_MS = 1000;
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const number = new Intl.NumberFormat("en");

/** An element, with text or children. Nothing that a client chose is ever read as HTML. */
function make(tag, attributes = {}, ...children) {
  const space = ["g", "circle", "line", "path", "text", "title"].includes(tag) ? SVG : "http://www.w3.org/1999/xhtml";
  const element = document.createElementNS(space, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const cell = (text, kind = "") => make("td", { class: kind, title: String(text) }, String(text));
const fill = (id, rows, columns) =>
  $(id).tBodies[0].replaceChildren(...(rows.length ? rows : [make("tr", {}, make("td", { class: "quiet", colspan: columns }, "none"))]));

function bytes(count) {
  if (count < 1024) return `${count} B`;
  if (count < 1024 * 1024) return `${(count / 1024).toFixed(1)} KiB`;
  return `${(count / 1024 / 1024).toFixed(1)} MiB`;
}

/** What is to be seen of each node, whichever was asked, in the order of their names. */
function nodesOf(told) {
  const members = [...(told.nodes.members ?? [])].sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
  return members.map((member) => {
    const own = member.status;
    const overview = told.overviews[member.name];
    const last = overview?.rates.at(-1);
    const isThere = own != null;
    const isServing = isThere && (own.condition ?? "serving") === "serving";
    const role = own?.role ?? (isThere ? "alone" : "–");
    return {
      name: member.name, rtt: member.rtt_us, linkUp: member.link_up !== false, isThere, isServing,
      role: isThere && member.voter === false ? "learner" : role,
      state: !isThere ? "does not answer" : isServing ? "in the view" : own.reason ?? own.condition,
      kind: !isThere ? "bad" : isServing ? "good" : "warn",
      clients: own?.clients ?? 0, published: last?.published ?? 0, delivered: last?.delivered ?? 0,
      links: Object.fromEntries((overview?.links ?? []).map((link) => [link.name, link])),
    };
  });
}

function showSummary(told, nodes) {
  const serving = nodes.filter((node) => node.isServing).length;
  const all = nodes.length === 1 ? "one node" : `${nodes.length} nodes`;
  $("summary").textContent = `${serving} of ${all} in the view, asked: ${told.nodes.name}, version ${told.nodes.version}`;
  $("summary").className = serving === nodes.length ? "" : "bad";
}

function showPicture(nodes) {
  const place = (index) => {
    if (nodes.length === 1) return [200, 130];
    const angle = (index / nodes.length) * 2 * Math.PI - Math.PI / 2;
    return [200 + 140 * Math.cos(angle), 132 + 88 * Math.sin(angle)];
  };
  const parts = [];
  nodes.forEach((from, i) => nodes.slice(i + 1).forEach((to, offset) => {
    const [[x1, y1], [x2, y2]] = [place(i), place(i + 1 + offset)];
    const link = from.links[to.name] ?? to.links[from.name];
    const isUp = Boolean(link?.link_up) && from.isThere && to.isThere;
    parts.push(make("line", { x1, y1, x2, y2, class: isUp ? "link" : "link bad" }));
    if (isUp && link.rtt_us != null) {
      parts.push(make("text", { x: (x1 + x2) / 2, y: (y1 + y2) / 2 + 3, class: "small" }, `${(link.rtt_us / 1000).toFixed(2)} ms`));
    }
  }));
  nodes.forEach((node, index) => {
    const [x, y] = place(index);
    const label = node.name.length > 14 ? `…${node.name.slice(-13)}` : node.name;
    parts.push(make("g", { class: `node ${node.kind} ${node.role}` },
      make("title", {}, `${node.name}: ${node.state}`),
      make("circle", { cx: x, cy: y, r: 30 }),
      make("text", { x, y: y + 1 }, label),
      make("text", { x, y: y + 13, class: "small" }, node.role)));
  });
  $("picture").replaceChildren(...parts);
}

function showNodes(nodes) {
  fill("nodes", nodes.map((node) => make("tr", { "data-node": node.name },
    cell(node.name, "name"), cell(node.state, `${node.kind} name`), cell(node.role, "spare"),
    cell(number.format(node.clients), "n"), cell(number.format(node.published), "n"), cell(number.format(node.delivered), "n"))), 6);
}

function showChart(told) {
  const lists = Object.values(told.overviews).filter(Boolean).map((overview) => overview.rates.map((rate) => rate.delivered));
  const length = Math.max(0, ...lists.map((list) => list.length));
  const sums = Array.from({ length }, (_, back) => lists.reduce((sum, list) => sum + (list.at(back - length) ?? 0), 0));
  const most = Math.max(1, ...sums);
  const points = sums.map((sum, at) => `${(480 * (120 - length + at + 1)) / 120} ${116 - (110 * sum) / most}`);
  $("chart").replaceChildren(make("path", { d: points.length ? `M ${points.join(" L ")}` : "" }));
  $("chart-now").textContent = number.format(sums.at(-1) ?? 0);
  $("chart-most").textContent = number.format(sums.length ? Math.max(...sums) : 0);
}

/** What names are sorted by, and the last ones told. */
const names = { by: "messages", told: undefined };

function showNames(told) {
  names.told = told;
  const all = new Map();
  for (const { kind, name, subscribers, messages } of Object.values(told.overviews).flatMap((overview) => overview?.names ?? [])) {
    const key = JSON.stringify([kind, name]);
    const row = all.get(key) ?? { kind, name, subscribers: 0, messages: undefined };
    row.subscribers += subscribers;
    // Every node with a subscriber hears every message.
    if (messages != null) row.messages = Math.max(row.messages ?? 0, messages);
    all.set(key, row);
  }
  const other = names.by === "messages" ? "subscribers" : "messages";
  const order = (one, two) => (two[names.by] ?? 0) - (one[names.by] ?? 0) || (two[other] ?? 0) - (one[other] ?? 0);
  fill("names", [...all.values()].sort(order).slice(0, 15).map((row) => make("tr", {}, cell(row.name, "name"), cell(row.kind, "spare"),
    cell(row.messages == null ? "…" : number.format(row.messages), "n"), cell(number.format(row.subscribers), "n"))), 4);
}

for (const button of document.querySelectorAll("[data-sort]")) {
  button.onclick = () => {
    names.by = button.dataset.sort;
    for (const other of document.querySelectorAll("[data-sort]")) other.parentElement.removeAttribute("aria-sort");
    button.parentElement.setAttribute("aria-sort", "descending");
    if (names.told) showNames(names.told);
  };
}

function showClients(told) {
  const all = Object.entries(told.overviews).flatMap(([node, overview]) => (overview?.largest_clients ?? []).map((client) => ({ node, ...client })));
  all.sort((one, other) => other.pending_bytes - one.pending_bytes || other.held_bytes - one.held_bytes);
  fill("clients", all.slice(0, 15).map((client) => {
    const isSlow = client.is_blocked || client.slow_s != null;
    const state = client.slow_s != null ? `slow for ${client.slow_s} s` : client.is_blocked ? "takes no more" : "keeps up";
    return make("tr", {}, cell(client.name || client.addr, "name"), cell(client.node, "name"), cell(bytes(client.pending_bytes), "n"),
      cell(bytes(client.held_bytes), "n spare"), cell(number.format(client.subscriptions), "n spare"), cell(state, isSlow ? "warn" : ""));
  }), 6);
}

function showLog(id, told, field) {
  const all = Object.entries(told.overviews).flatMap(([node, overview]) => (overview?.[field] ?? []).map((event) => ({ node, ...event })));
  all.sort((one, other) => other.at_ms - one.at_ms);
  const line = (event) => make("li", {},
    make("time", { datetime: new Date(event.at_ms).toISOString() }, new Date(event.at_ms).toLocaleTimeString("en-GB")),
    make("span", { class: "who" }, event.node), make("span", {}, event.text));
  $(id).replaceChildren(...(all.length ? all.slice(0, 60).map(line) : [make("li", { class: "empty" }, "nothing yet")]));
}

function show(told) {
  const nodes = nodesOf(told);
  $("main").hidden = false;
  showSummary(told, nodes);
  showPicture(nodes);
  showNodes(nodes);
  showChart(told);
  showNames(told);
  showClients(told);
  showLog("closes", told, "closes");
  showLog("events", told, "events");
}

/** Asks for the token, and waits for it. */
function login() {
  $("login").hidden = false;
  $("main").hidden = true;
  $("summary").textContent = "this node asks for a token";
  return new Promise((resolve) => {
    $("login").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem("token", $("token").value);
      $("token").value = "";
      $("login").hidden = true;
      resolve();
    };
  });
}

/** Shows what the stream brings until it ends. EventSource cannot show a token, so its format is read here. */
async function follow() {
  const token = sessionStorage.getItem("token");
  const answer = await fetch("/console/stream", { headers: token ? { authorization: `Bearer ${token}` } : {}, cache: "no-store" });
  if (answer.status === 401) return login();
  if (!answer.ok) throw new Error(await answer.text());
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return undefined;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
      if (data) show(JSON.parse(data));
    }
  }
}

for (;;) {
  try {
    await follow();
  } catch (error) {
    $("summary").textContent = `no answer from this node (${error.message.trim()}), trying again`;
    $("summary").className = "bad";
  }
  await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
}
