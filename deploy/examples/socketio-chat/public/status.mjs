// The bar at the top: which instance serves this page, how many there are, and how the connection is.

import { plural } from "./dom.mjs";
import { nameInstance } from "./instance.mjs";

const LINK_TEXT = { connecting: "Connecting…", connected: "Connected", reconnecting: "Reconnecting…" };

export function renderStatus({ servedBy, serverCount, link, banner }, state) {
  if (state.instance) nameInstance(servedBy, state.instance);
  const brokerAway = state.link === "connected" && !state.brokerUp;
  serverCount.textContent = state.roster.serverCount === null ? "" : plural(state.roster.serverCount, "instance", "instances");
  link.dataset.state = brokerAway ? "alone" : state.link;
  // Set only on change: writing the same text again makes some screen readers say it again.
  setText(link, brokerAway ? "Broker away" : LINK_TEXT[state.link]);
  setText(banner, bannerText(state, brokerAway));
}

function bannerText({ link, instance }, brokerAway) {
  if (link === "reconnecting") return `Lost the connection to ${instance ?? "the server"}. Trying again; you will be back in your rooms.`;
  if (brokerAway) return `${instance} cannot reach the broker, so the other instances are out of earshot. Back by itself as soon as it returns.`;
  return "";
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
