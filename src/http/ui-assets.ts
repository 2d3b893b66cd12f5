// Style and script of the status page, in the page itself; the policy header names their hashes, so nothing else can run.
import { createHash } from 'node:crypto';

export const STYLE = `
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --line: #e3e6ea; --text: #1c2430; --soft: #5b6675; --accent: #2f6f5e;
  --good: #1d7a4f; --bad: #b3261e; --warn: #8a5a00; --calm: #5b6675; --code: #f0f2f5; }
@media (prefers-color-scheme: dark) { :root { --bg: #12161c; --card: #1a2029; --line: #2b3340; --text: #e6eaf0; --soft: #98a4b5;
  --accent: #7fd1b5; --good: #5fd39a; --bad: #ff8a80; --warn: #f0b75b; --calm: #98a4b5; --code: #0f1319; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.wrap { max-width: 1040px; margin: 0 auto; padding: 20px 16px 48px; }
header { display: flex; align-items: center; gap: 12px; flex-wrap: wrap; margin-bottom: 20px; }
header svg { width: 30px; height: 30px; color: var(--accent); flex: none; }
h1 { font-size: 20px; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 13px; margin: 0 0 10px; color: var(--soft); font-weight: 600; text-transform: uppercase; letter-spacing: .05em; }
.node { color: var(--soft); overflow-wrap: anywhere; }
.pill { margin-left: auto; padding: 3px 12px; border-radius: 99px; border: 1px solid currentColor; font-weight: 600; font-size: 13px; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); } .calm { color: var(--calm); }
.cards { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; margin-bottom: 12px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; margin-bottom: 12px; min-width: 0; }
.cards .card { margin: 0; }
.cards p { margin: 0; font-size: 28px; font-weight: 650; line-height: 1.2; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.cards small { color: var(--soft); display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; }
.two .card { margin-bottom: 12px; } .two td:last-child { text-align: right; }
th:last-child, td:last-child { padding-right: 0; }
ul { margin: 0; padding-left: 18px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 13px; }
th, td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
td.name { white-space: normal; overflow-wrap: anywhere; min-width: 9em; font-weight: 550; }
tr:last-child td { border-bottom: 0; }
td small, .soft { color: var(--soft); }
pre { background: var(--code); border: 1px solid var(--line); border-radius: 8px; padding: 12px; margin: 10px 0; overflow-x: auto; font: 13px/1.55 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; user-select: all; }
button { font: inherit; font-size: 13px; padding: 5px 14px; border-radius: 7px; border: 1px solid var(--line); background: var(--bg); color: var(--text); cursor: pointer; }
button:hover { border-color: var(--accent); } :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
summary { cursor: pointer; font-weight: 600; } a { color: var(--accent); }
footer { color: var(--soft); font-size: 13px; margin-top: 20px; display: flex; gap: 6px 18px; flex-wrap: wrap; }
@media (max-width: 640px) { .cards { grid-template-columns: 1fr 1fr; } .cards .card:last-child { grid-column: 1 / -1; } .two { grid-template-columns: 1fr; gap: 0; }
  .pill { margin-left: 0; } .wide { display: none; } th, td { padding-right: 10px; } td small { display: block; white-space: normal; } }
`;

/** Renews the changing parts every five seconds while the page is seen, and copies the command. Without it the page is whole, only still. */
export const SCRIPT = `
addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-copy]');
  if (button === null) return;
  try { await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent); button.textContent = 'Copied'; }
  catch { getSelection().selectAllChildren(document.getElementById(button.dataset.copy)); button.textContent = 'Selected: press Ctrl+C'; }
});
setInterval(async () => {
  if (document.hidden) return;
  const state = document.getElementById('state');
  try {
    const answer = await fetch(location.pathname);
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const live = fresh.getElementById('live');
    if (live === null) throw new Error(answer.status);
    document.getElementById('live').replaceWith(live);
    state.replaceWith(fresh.getElementById('state'));
  } catch { state.className = 'pill warn'; state.textContent = 'no answer'; }
}, 5000);
`;

const BELL =
  '<path d="M12 3v2M5 17h14c-1.500-1.500-2-3-2-7a5 5 0 0 0-10 0c0 4-.5 5.500-2 7zM10 20a2 2 0 0 0 4 0" fill="none" stroke="currentColor" stroke-width="1.800" stroke-linecap="round" stroke-linejoin="round"/>';
export const ICON = `<svg viewBox="0 0 24 24" aria-hidden="true">${BELL}</svg>`;
export const FAVICON = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" color="#2f6f5e">${BELL}</svg>`)}`;

const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

export const POLICY = [
  "default-src 'none'",
  `style-src ${hash(STYLE)}`,
  `script-src ${hash(SCRIPT)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
