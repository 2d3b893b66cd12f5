// The status page as HTML: what this node is, how it is, what runs, what comes, what was.
import { formatDuration } from '../model/duration.ts';
import { instantMs } from '../model/time.ts';
import { Html, html } from './html.ts';
import type { ExecutionView, RunView } from './services.ts';
import { FAVICON, ICON, SCRIPT, STYLE } from './ui-assets.ts';

/** Everything the page shows; `now` in epoch ms. */
export interface PageData {
  readonly node: string;
  readonly version: string;
  readonly address: string;
  readonly leader: boolean;
  readonly issues: readonly string[];
  readonly paused: boolean;
  readonly jobs: number;
  readonly running: readonly ExecutionView[];
  /** undefined: this node does not tell. */
  readonly upcoming: readonly { job: string; at: string }[] | undefined;
  readonly recent: readonly RunView[];
  readonly now: number;
}

const RUNNING_SHOWN_MAX = 10;

export function statusPage(data: PageData): string {
  const { node, version, issues } = data;
  const state = issues.length === 0 ? ['good', 'healthy'] : ['bad', `${issues.length} ${issues.length === 1 ? 'issue' : 'issues'}`];
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Belfry · ${node}</title><link rel="icon" href="${FAVICON}"><style>${new Html(STYLE)}</style></head>
<body><div class="wrap">
<header>${new Html(ICON)}<h1>Belfry</h1><span class="node">${node} · ${version}</span><span id="state" role="status" class="pill ${state[0]}">${state[1]}</span></header>
<main>${data.jobs === 0 ? firstJob(data, true) : undefined}
<div id="live">${live(data)}</div>
${data.jobs === 0 ? undefined : firstJob(data, false)}</main>
<footer><a href="/v1/jobs?pretty">jobs</a><a href="/v1/runs?pretty">runs</a><a href="/health?pretty">health</a><a href="/metrics">metrics</a><a href="/v1/openapi.json">OpenAPI</a><span>times are UTC</span></footer>
</div><script>${new Html(SCRIPT)}</script></body></html>
`.text;
}

function live(data: PageData): Html {
  const [next] = data.upcoming ?? [];
  return html`${data.issues.length === 0 ? undefined : issueList(data.issues)}${data.paused ? html`<div class="card warn">Submissions are paused: new and changed jobs get 503, launches go on. POST /v1/unpause ends it.</div>` : undefined}
<div class="cards">
<div class="card"><h2>Jobs</h2><p>${data.jobs.toLocaleString('en')}</p></div>
<div class="card"><h2>Running</h2><p>${data.running.length.toLocaleString('en')}</p></div>
<div class="card"><h2>Next due</h2><p>${next === undefined ? '–' : when(instantMs(next.at), data.now)}</p><small>${next?.job}</small></div>
</div>
${data.running.length + (data.upcoming?.length ?? 0) === 0 ? undefined : html`<div class="two">${runningCard(data)}${upcomingCard(data)}</div>`}
${recentCard(data)}`;
}

function issueList(issues: readonly string[]): Html {
  return html`<div class="card bad"><h2 class="bad">Issues</h2><ul>${issues.map((issue) => html`<li>${issue}</li>`)}</ul></div>`;
}

function runningCard({ running, now }: PageData): Html {
  const rows = running.slice(0, RUNNING_SHOWN_MAX).map((execution) => {
    return html`<tr><td class="name">${execution.job_name}</td><td>${passed(now - instantMs(execution.started_at))}</td></tr>`;
  });
  const more = running.length - rows.length;
  const rest = more > 0 ? html`<tr><td class="soft">and ${more} more</td><td></td></tr>` : undefined;
  const body = rows.length === 0 ? html`<span class="soft">Nothing runs right now.</span>` : html`<table>${rows}${rest}</table>`;
  return html`<section class="card"><h2>Running now</h2>${body}</section>`;
}

function upcomingCard({ upcoming, now }: PageData): Html | undefined {
  if (upcoming === undefined) return undefined;
  const rows = upcoming.map(({ job, at }) => html`<tr><td class="name">${job}</td><td title="${at}">${when(instantMs(at), now)}</td></tr>`);
  const body = rows.length === 0 ? html`<span class="soft">Nothing is planned.</span>` : html`<table>${rows}</table>`;
  return html`<section class="card"><h2>Next due</h2>${body}</section>`;
}

function recentCard({ recent, now, jobs }: PageData): Html {
  if (recent.length === 0) return html`${jobs === 0 ? undefined : html`<section class="card"><h2>Recent runs</h2><span class="soft">None yet.</span></section>`}`;
  return html`<section class="card"><h2>Recent runs</h2><div class="scroll"><table>
<thead><tr><th>Outcome</th><th>Job</th><th>Due</th><th class="wide">Trigger</th><th class="wide">Took</th></tr></thead>
<tbody>${recent.map((run) => recentRow(run, now))}</tbody></table></div></section>`;
}

const TONE: Readonly<Record<string, string>> = {
  succeeded: 'good', failed: 'bad', lost: 'bad', partially_failed: 'warn', missed: 'warn', skipped: 'calm', cancelled: 'calm',
};

function recentRow(run: RunView, now: number): Html {
  const outcome = run.outcome ?? (run.phase === 'active' ? 'running' : run.phase);
  const last = run.executions.at(-1);
  const took = last?.started_at != null && last.finished_at !== null ? passed(instantMs(last.finished_at) - instantMs(last.started_at)) : '–';
  const many = run.count > 1 ? html` <small>× ${run.count_exact ? '' : '≥ '}${run.count}</small>` : undefined;
  const why = run.reason === '' ? undefined : html` <small>${run.reason.replaceAll('_', ' ')}</small>`;
  return html`<tr><td><span class="${TONE[outcome] ?? 'calm'}">${outcome.replaceAll('_', ' ')}</span>${why}${many}</td><td class="name">${run.job}</td><td title="${run.scheduled_at}">${when(instantMs(run.scheduled_at), now)}</td><td class="wide">${run.trigger}</td><td class="wide">${took}</td></tr>`;
}

/** A span of time, to the digit a person cares about. */
function passed(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  const unit = ms < 3_600_000 ? 1_000 : 60_000;
  return formatDuration(Math.round(ms / unit) * unit).replaceAll(/([a-z])(?=\d)/g, '$1 ');
}

function when(at: number, now: number): string {
  const away = at - now;
  if (Math.abs(away) < 1_000) return 'now';
  return away > 0 ? `in ${passed(away)}` : `${passed(-away)} ago`;
}

function firstJob({ address }: PageData, open: boolean): Html {
  const command = `curl -X POST ${address}/v1/jobs -d '{
  "name": "hello",
  "schedule": "@every 10s",
  "executor": "shell",
  "executor_config": {"command": "echo hello from belfry"}
}'`;
  const body = html`<pre id="first">${command}</pre><button type="button" data-copy="first">Copy</button>`;
  if (open) return html`<section class="card"><h2>Create a first job</h2>Paste this into a terminal:${body}</section>`;
  return html`<section class="card"><details><summary>Create another job</summary>${body}</details></section>`;
}
