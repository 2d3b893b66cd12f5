// Job JSON as text: a job that survives being shown and posted again, or a refusal that names the field and gives nothing of the job away.
import { compileJob } from '../../../src/core/compiled-job.ts';
import { parseHttpConfig } from '../../../src/core/http-config.ts';
import { processEnvironment } from '../../../src/core/process-environment.ts';
import { planShell } from '../../../src/executors/shell.ts';
import { jsonElements, JsonArrayError } from '../../../src/http/json-elements.ts';
import { parseJson } from '../../../src/lib/json.ts';
import type { StartRequest } from '../../../src/model/agent.ts';
import { definitionOf, jobView, parseJobInput } from '../../../src/model/job.ts';
import type { Dice } from '../dice.ts';
import { must, type Target, withInput, withInputAsync } from '../target.ts';

const SECRET = 'tops3cret';
const CONTEXT = {
  zone: 'UTC',
  misfire: { graceMs: 60_000, policy: 'last', windowMs: 7 * 86_400_000, max: 100 },
  startDeadlineMs: null,
  relaunchMax: 3,
  calendar: () => undefined,
} as const;

const JOB = {
  name: 'nightly-report',
  displayname: 'Nightly report',
  timezone: 'Europe/Madrid',
  schedule: '0 30 2 * * 1-5',
  owner: 'ops',
  owner_email: 'ops@example.org',
  success_count: 3,
  last_success: '2026-11-22T17:00:00Z',
  disabled: false,
  tags: { role: 'web:1' },
  metadata: { team: 'blue' },
  retries: 2,
  dependent_jobs: null,
  parent_job: '',
  processors: { log: { forward: 'true' }, files: { log_dir: '/tmp' } },
  concurrency: 'forbid',
  executor: 'shell',
  executor_config: {
    command: `echo ${SECRET}`,
    shell: 'true',
    env: `TOKEN=${SECRET}`,
    payload: Buffer.from(SECRET).toString('base64'),
    timeout: '30s',
    mem_limit: '64MiB',
  },
  status: '',
  next: '2026-11-22T17:00:00Z',
  ephemeral: false,
  starts_at: null,
  expires_at: '2036-01-01T00:00:00Z',
  targets: 'all',
  guarantee: 'at-least-once',
  misfire: { grace: '30s', policy: 'all', window: '1d', max: 10 },
  dst: { gap: 'skip', overlap: 'both' },
  jitter: '5m',
  calendars: ['holidays', { dates: ['2026-12-25'] }],
  timeout: '1h',
  kill_grace: '5s',
  start_deadline: '10m',
  retry: { delay: '1s', factor: 2, max_delay: '1m', jitter: 0.1, elsewhere: false },
  run_if_past: true,
};

const bodies: Target = {
  name: 'job JSON',
  weight: 25,
  limitMs: 250,
  run(dice) {
    const text = dice.chance(0.4) ? dice.mangle(JSON.stringify(JOB)) : JSON.stringify(dice.mangleJson(JOB, 0.05));
    withInput(text, () => {
      const json = parseJson(text);
      if (!json.ok) {
        must(json.line >= 1 && json.column >= 1 && json.offset <= text.length, 'a place in the text', json);
        return must(
          !json.message.includes(SECRET) && json.message.length < 200,
          'a short message without the body',
          json,
        );
      }
      const parsed = parseJobInput(json.value);
      if (parsed.ok) return accepted(parsed.job);
      const isObject = typeof json.value === 'object' && json.value !== null && !Array.isArray(json.value);
      must(parsed.field !== '' || !isObject, 'the field is named', parsed);
      must(parsed.message !== '' && parsed.remedy !== '', 'message and remedy', parsed);
      must(!`${parsed.message}${parsed.remedy}`.includes(SECRET), 'nothing of the job is given away', parsed);
      must(parsed.message.length + parsed.remedy.length < 2_000, 'a short refusal', parsed);
    });
  },
};

function accepted(job: Extract<ReturnType<typeof parseJobInput>, { ok: true }>['job']): void {
  const definition = definitionOf(job);
  const view = jobView(definition, {
    successCount: 0,
    errorCount: 0,
    lastSuccessAt: null,
    lastErrorAt: null,
    dependentJobs: [],
    status: '',
    nextAt: null,
  });
  const again = parseJobInput(JSON.parse(JSON.stringify(view)));
  must(again.ok, 'a job as shown can be posted again', view, again);
  must(
    JSON.stringify(definitionOf(again.job)) === JSON.stringify(definition),
    'showing and posting changes nothing',
    definition,
    definitionOf(again.job),
  );
  const { job: compiled } = compileJob({ id: 1, version: 1, anchorAt: 0, definition }, CONTEXT);
  must(
    [compiled.killGraceMs, compiled.misfire.graceMs, compiled.lifecycle.retry.delayMs].every(
      (ms) => Number.isFinite(ms) && ms >= 0,
    ),
    'durations are numbers',
    compiled,
  );
}

const CONFIG = {
  shell: {
    command: 'sh -c "echo \'a b\' $X" | cat',
    shell: 'false',
    cwd: '/tmp',
    env: 'A=1,B="x y"',
    timeout: '30s',
    mem_limit: '64MiB',
    payload: 'aGVsbG8=',
    success_codes: '0,2',
    su: 'nobody:nogroup',
  },
  http: {
    method: 'POST',
    url: 'https://user:pw@example.org:8443/a?b=c#d',
    headers: '["Content-Type: application/json","X-Token: a"]',
    body: '{"a":1}',
    timeout: '10',
    expectCode: '200-204,301',
    expectBody: 'o[k]+',
    tlsNoVerifyPeer: 'false',
    tlsCertificateFile: '/c',
    tlsCertificateKeyFile: '/k',
    tlsRootCAsFile: '/r',
    debug: 'true',
  },
};

const executors: Target = {
  name: 'executor configuration',
  weight: 8,
  limitMs: 250,
  run(dice) {
    const kind = dice.pick(['shell', 'http'] as const);
    const config = Object.fromEntries(
      Object.entries(CONFIG[kind]).flatMap(([key, value]) =>
        dice.chance(0.3) ? [] : [[key, dice.chance(0.3) ? dice.mangle(value) : value]],
      ),
    ) as Record<string, string>;
    withInput([kind, config], () => {
      if (kind === 'http') {
        const parsed = parseHttpConfig(config) as { problem?: string; message?: string };
        return must(typeof parsed === 'object', 'an answer', parsed);
      }
      const run = {
        key: 1,
        id: '1000-n',
        group: 1,
        attempt: 1,
        job: 'j',
        jobId: 1,
        trigger: 'manual',
        scheduledAt: 0,
        executor: 'shell',
        config,
        timeoutMs: null,
        killGraceMs: 0,
      } as unknown as StartRequest;
      const planned = planShell(run, { node: 'n', base: { PATH: '/bin' } });
      if (planned.kind === 'invalid')
        return must(planned.message !== '' && planned.message.length < 400, 'a short sentence', planned);
      must(
        planned.plan.words.length > 0 && planned.plan.words.every((word) => typeof word === 'string'),
        'words',
        planned.plan.words,
      );
      must(
        Object.values(processEnvironment(run, 'n', {}, null)).every((value) => typeof value === 'string'),
        'an environment of texts',
      );
    });
  },
};

const arrays: Target = {
  name: 'restore stream',
  weight: 6,
  limitMs: 250,
  async run(dice) {
    const values = Array.from({ length: dice.size(6) }, () => dice.json());
    const indent = dice.pick([0, 2]);
    const good = JSON.stringify(values, null, indent);
    const text = dice.mangle(good);
    await withInputAsync(text, async () => {
      const elements: string[] = [];
      try {
        for await (const element of jsonElements(inPieces(dice, Buffer.from(text)), 200_000)) elements.push(element);
      } catch (error) {
        must(error instanceof JsonArrayError, 'only its own errors', String(error));
        must(text !== good || good.length > 200_000, 'a good array is taken', error.message);
        return;
      }
      // As text: this V8 sometimes reads the key "\\u0000" as another one.
      if (text === good) must(joined(elements, indent) === good, 'the elements are the array’s', elements);
    });
  },
};

/** As JSON.stringify writes an array of them. */
function joined(elements: readonly string[], indent: number): string {
  const gap = indent === 0 || elements.length === 0 ? '' : '\n';
  const inner = gap === '' ? '' : gap + ' '.repeat(indent);
  return `[${inner}${elements.join(`,${inner}`)}${gap}]`;
}

async function* inPieces(dice: Dice, bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length;) {
    const end = Math.min(bytes.length, from + 1 + dice.size(64));
    yield bytes.subarray(from, end);
    from = end;
  }
}

export const jobTargets = [bodies, executors, arrays];
