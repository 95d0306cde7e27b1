// Serves the files of public/ and nothing else. (Socket.IO answers /socket.io/ itself, its browser client included.)

import { readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

// Read once at start: a request can only name a file that is in this table, so no path of a request reaches the disk.
const folder = new URL("./public/", import.meta.url);
const files = new Map(
  readdirSync(folder).map((name) => [`/${name}`, { body: readFileSync(new URL(name, folder)), type: TYPES[extname(name)] }]),
);
files.set("/", files.get("/index.html"));

const HEADERS = {
  // Everything comes from here; text that slipped into the page as markup could still load and run nothing.
  "content-security-policy": "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "cache-control": "no-cache",
};

export function servePage(request, response) {
  const file = files.get(new URL(request.url, "http://page").pathname);
  if (!file) {
    response.writeHead(404, { "content-type": "text/plain; charset=utf-8" }).end("Not here. The chat is at /\n");
  } else if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
  } else {
    response.writeHead(200, { ...HEADERS, "content-type": file.type }).end(request.method === "HEAD" ? undefined : file.body);
  }
}
