// The status page as HTML: what this node is, how it is, what runs, what comes, what was.
import { formatDuration } from '../model/duration.ts';
import { instantMs } from '../model/time.ts';
import { Html, markup } from './markup.ts';
import type { ExecutionView, RunView } from './services.ts';
import { FAVICON, ICON, SCRIPT, STYLE } from './ui-assets.ts';

/** Which node this is and how it is. */
export interface PageHead {
  readonly node: string;
  readonly version: string;
  readonly status: 'healthy' | 'unhealthy' | 'draining';
  readonly issues: readonly string[];
  readonly warnings: readonly string[];
}

/** Everything the page shows; `now` in epoch ms. */
export interface PageData extends PageHead {
  readonly address: string;
  /** What curl needs to prove itself, with a blank in front (curlCredentials). */
  readonly curlCredentials: string;
  readonly paused: boolean;
  readonly jobs: number;
  readonly running: readonly ExecutionView[];
  /** undefined: this node does not tell. */
  readonly upcoming: readonly { job: string; at: string }[] | undefined;
  readonly recent: readonly RunView[];
  readonly now: number;
}

const RUNNING_SHOWN_MAX = 8;

export function statusPage(data: PageData): string {
  const { jobs } = data;
  return whole(
    data,
    markup`${jobs === 0 ? firstJob(data) : undefined}
<div id="live">${live(data)}</div>
${jobs === 0 ? undefined : anotherJob(data)}`,
  );
}

/** When the store cannot be read: what is wrong is all there is to show. */
export function troublePage(head: PageHead): string {
  return whole(head, markup`<div id="live">${notices(head)}</div>`);
}

function whole(head: PageHead, main: Html): string {
  const { node, version } = head;
  const [tone, state] = pill(head);
  return markup`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Belfry · ${node}</title><link rel="icon" href="${FAVICON}"><style>${new Html(STYLE)}</style></head>
<body><div class="wrap">
<header>${new Html(ICON)}<h1>Belfry</h1><span class="node">${node} · ${version}</span>
<span id="state" role="status" class="pill ${tone}">${state}</span></header>
<main>${main}</main>
<footer>${LINKS}<span>times are UTC</span></footer>
</div><script>${new Html(SCRIPT)}</script></body></html>
`.text;
}

function pill({ status, issues }: PageHead): [tone: string, text: string] {
  if (status === 'healthy') return ['good', status];
  if (status === 'draining') return ['warn', status];
  return ['bad', `${issues.length} ${issues.length === 1 ? 'issue' : 'issues'}`];
}

const LINKS = [
  ['/v1/jobs?pretty', 'jobs'],
  ['/v1/runs?pretty', 'runs'],
  ['/health?pretty', 'health'],
  ['/metrics', 'metrics'],
  ['/v1/openapi.json', 'OpenAPI'],
].map(([path, text]) => markup`<a href="${path}">${text}</a>`);

const PAUSED = markup`<div class="card warn">Submissions are paused: new and changed jobs get 503, launches go on.
POST /v1/unpause ends it.</div>`;

/** What the page's script renews. */
function live(data: PageData): Html {
  const { running, upcoming, now } = data;
  const next = upcoming?.[0];
  const idle = running.length + (upcoming?.length ?? 0) === 0;
  return markup`${notices(data)}${data.paused ? PAUSED : undefined}
<div class="cards">
<div class="card"><h2>Jobs</h2><p>${data.jobs.toLocaleString('en')}</p></div>
<div class="card"><h2>Running</h2><p>${running.length.toLocaleString('en')}</p></div>
<div class="card"><h2>Next due</h2><p>${next === undefined ? '–' : when(instantMs(next.at), now)}</p><small>${next?.job}</small></div>
</div>
${idle ? undefined : markup`<div class="two">${runningCard(data)}${upcomingCard(data)}</div>`}
${recentCard(data)}`;
}

function notices({ status, issues, warnings }: PageHead): Html {
  const stopping = status === 'draining';
  return markup`${noticeCard(stopping ? 'Draining' : 'Issues', stopping ? 'warn' : 'bad', issues)}${noticeCard('Warnings', 'warn', warnings)}`;
}

function noticeCard(title: string, tone: 'bad' | 'warn', lines: readonly string[]): Html | undefined {
  if (lines.length === 0) return undefined;
  const items = lines.map((line) => markup`<li>${line}</li>`);
  return markup`<div class="card ${tone}"><h2 class="${tone}">${title}</h2><ul>${items}</ul></div>`;
}

function card(title: string, body: Html): Html {
  return markup`<section class="card"><h2>${title}</h2>${body}</section>`;
}

const soft = (text: string): Html => markup`<span class="soft">${text}</span>`;

function runningCard({ running, now }: PageData): Html {
  if (running.length === 0) return card('Running now', soft('Nothing runs right now.'));
  const rows = running.slice(0, RUNNING_SHOWN_MAX).map((execution) => {
    const forMs = now - instantMs(execution.started_at);
    return markup`<tr><td class="name">${execution.job_name}</td><td>${passed(forMs)}</td></tr>`;
  });
  const more = running.length - rows.length;
  const rest = more > 0 ? markup`<tr><td class="soft">and ${more} more</td><td></td></tr>` : undefined;
  return card('Running now', markup`<table>${rows}${rest}</table>`);
}

function upcomingCard({ upcoming, now }: PageData): Html | undefined {
  if (upcoming === undefined) return undefined;
  if (upcoming.length === 0) return card('Next due', soft('Nothing is planned.'));
  const rows = upcoming.map(({ job, at }) => {
    return markup`<tr><td class="name">${job}</td><td title="${at}">${when(instantMs(at), now)}</td></tr>`;
  });
  return card('Next due', markup`<table>${rows}</table>`);
}

function recentCard({ recent, now, jobs }: PageData): Html | undefined {
  if (recent.length === 0) return jobs === 0 ? undefined : card('Recent runs', soft('None yet.'));
  const head = markup`<tr><th>Outcome</th><th>Job</th><th>Due</th><th class="wide">Trigger</th><th class="wide">Took</th></tr>`;
  const rows = recent.map((run) => recentRow(run, now));
  return card(
    'Recent runs',
    markup`<div class="scroll"><table><thead>${head}</thead><tbody>${rows}</tbody></table></div>`,
  );
}

const TONE: Readonly<Record<string, string>> = {
  succeeded: 'good',
  failed: 'bad',
  lost: 'bad',
  partially_failed: 'warn',
  missed: 'warn',
  stopping: 'warn',
};

function recentRow(run: RunView, now: number): Html {
  // An active one may still wait for a place, or for a node with its tags.
  const begun = run.executions.some(({ state }) => state !== 'waiting');
  const active = run.stopping !== null ? 'stopping' : begun ? 'running' : 'waiting';
  const outcome = run.outcome ?? (run.phase !== 'active' ? run.phase : active);
  const reason = run.stopping?.reason ?? run.reason;
  const many = run.count > 1 ? markup` <small>× ${run.count_exact ? '' : '≥ '}${run.count}</small>` : undefined;
  const why = reason === '' ? undefined : markup` <small>${reason.replaceAll('_', ' ')}</small>`;
  return markup`<tr><td><span class="${TONE[outcome] ?? 'calm'}">${outcome.replaceAll('_', ' ')}</span>${why}${many}</td>
<td class="name">${run.job}</td><td title="${run.scheduled_at}">${when(instantMs(run.scheduled_at), now)}</td>
<td class="wide">${run.trigger}</td><td class="wide">${took(run)}</td></tr>`;
}

function took(run: RunView): string {
  const last = run.executions.at(-1);
  if (last === undefined || last.started_at === null || last.finished_at === null) return '–';
  return passed(instantMs(last.finished_at) - instantMs(last.started_at));
}

/** A span of time, to the digit a person cares about. */
function passed(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  const unit = ms < 3_600_000 ? 1_000 : 60_000;
  return formatDuration(Math.round(ms / unit) * unit)
    .replaceAll(/(\d)([a-z]+)/g, '$1 $2 ')
    .trimEnd();
}

function when(at: number, now: number): string {
  const away = at - now;
  if (Math.abs(away) < 1_000) return 'now';
  return away > 0 ? `in ${passed(away)}` : `${passed(-away)} ago`;
}

function firstJob(data: PageData): Html {
  return card('Create a first job', markup`Paste this into a terminal:${command(data)}`);
}

function anotherJob(data: PageData): Html {
  return markup`<section class="card"><details><summary>Create another job</summary>${command(data)}</details></section>`;
}

function command({ address, curlCredentials }: PageData): Html {
  const text = `curl${curlCredentials} -X POST ${address}/v1/jobs -d '{
  "name": "hello",
  "schedule": "@every 10s",
  "executor": "shell",
  "executor_config": {"command": "echo hello from belfry"}
}'`;
  return markup`<pre id="command">${text}</pre><button type="button" data-copy="command">Copy</button>`;
}
