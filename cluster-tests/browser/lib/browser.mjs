// Debian's Chromium, headless, with a new empty profile for each launch (playwright makes and removes it).

import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox', // containers and CI run as root, where Chromium's sandbox does not start
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launchBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS });
}
