// Schedule texts and preview requests: parse or a good refusal; what parses has words, times that grow, and answers its own preview.
import {
  describe,
  nextAfter,
  parseSchedule,
  preview,
  previousAtOrBefore,
  type ScheduleSpec,
  warnings,
} from '../../../src/core/schedule/index.ts';
import { PreviewRequest, PreviewResponse } from '../../../src/model/schedule.ts';
import type { Dice } from '../dice.ts';
import { must, type Target, withInput } from '../target.ts';

const TEXTS = [
  '* * * * *',
  '*/5 * * * *',
  '0 0 1 1 *',
  '30 2 * * 1-5',
  '0 0 L * *',
  '0 0 LW * *',
  '0 0 15W * *',
  '0 0 L-3 * *',
  '0 12 * * 5#3',
  '0 12 * * 5L',
  '0 0 29 2 *',
  '0 */2 9-17 * * MON-FRI',
  '5,10,15 * * * * *',
  '0 0 0 1 1 ? 2030',
  '0 0 0 1 JAN * 2030-2040/2',
  'H H(1-5) * * *',
  'H/15 * * * *',
  '~ * * * *',
  '0 0~30 3 * * *',
  '0 22-4 * * SUN',
  '0 0 13 * +FRI',
  '0 0 1-7 * +1',
  '@daily',
  '@hourly',
  '@yearly',
  '@monthly',
  '@weekly',
  '@minutely',
  '@manually',
  '@midnight',
  '@reboot',
  '@every 90s',
  '@every 1h30m',
  '@every 1.5d',
  'every 5 minutes',
  'every day at noon',
  '@at 2030-01-01T00:00:00Z',
  '@at 2030-06-01T10:00:00+02:00',
  '@after 2030-01-01T00:00:00Z 2h',
  'TZ=Europe/Madrid 0 3 * * *',
  'CRON_TZ=America/New_York @daily',
  'TZ=UTC @every 10m',
  '59 23 31 12 *',
];
const WORDS = [
  '*',
  '?',
  '0',
  '7',
  '59',
  '60',
  '*/2',
  '1-5',
  '5-1',
  '1,2',
  'L',
  'W',
  'LW',
  '15W',
  'L-2',
  '5#2',
  'MON',
  'sun-tue',
  'H',
  'H(0-9)',
  'H/5',
  '~',
  '0~10',
  '+1',
  '2030',
  '*/0',
  '-1',
  '1/',
  'JAN/3',
];
const ZONES = [
  '',
  'UTC',
  'Local',
  'Europe/London',
  'America/New_York',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'America/Sao_Paulo',
  'Antarctica/Troll',
  'Africa/Casablanca',
  'Europe/Dublin',
  'Asia/Kathmandu',
  'Mars/Base',
  '+02:00',
];
const NOW = Date.UTC(2026, 10, 22, 17);
const CENTURY_MS = 100 * 365.25 * 86_400_000;

function scheduleText(dice: Dice): string {
  if (dice.chance(0.3)) return Array.from({ length: dice.between(1, 8) }, () => dice.pick(WORDS)).join(' ');
  return dice.chance(0.05) ? dice.noise(200) : dice.mangle(dice.pick(TEXTS));
}

const texts: Target = {
  name: 'schedule text',
  weight: 35,
  limitMs: 250,
  run(dice) {
    const text = scheduleText(dice);
    const options = {
      name: dice.pick(['job', '', 'x'.repeat(1000), 'é']),
      timezone: dice.pick(ZONES),
      ...(dice.chance(0.5) ? { nowMs: NOW } : {}),
    };
    const from = Math.floor(NOW + (dice.int(2_000_001) / 1_000_000 - 1) * CENTURY_MS);
    const policy = {
      gap: dice.pick(['after', 'skip', 'shift'] as const),
      overlap: dice.pick(['first', 'second', 'both'] as const),
    };
    withInput([text, options, from, policy], () => {
      const parsed = parseSchedule(text, options);
      if (!parsed.ok) return refusal(text, options, parsed.error);
      const spec: ScheduleSpec = {
        schedule: parsed.schedule,
        zone: parsed.zone ?? 'UTC',
        anchorAt: NOW,
        ...(dice.chance(0.3) ? { dst: policy } : {}),
      };
      const words = describe(spec);
      must(words.trim() !== '' && !/undefined|NaN|\[object/.test(words), 'words', words);
      for (const warning of warnings(spec, from, parsed.notes))
        must(warning.message !== '' && !/undefined|NaN/.test(warning.message), 'a warning', warning);
      let last = from;
      for (let i = 0; i < 3; i += 1) {
        const next = nextAfter(spec, last);
        if (next === undefined) break;
        must(Number.isSafeInteger(next) && next > last, 'times grow', last, next);
        const back = previousAtOrBefore(spec, next, last);
        must(back === next, 'the previous time at a time is itself', next, back);
        last = next;
      }
    });
  },
};

function refusal(
  text: string,
  options: { name: string; timezone: string },
  error: { message: string; field: string; position: number; suggestion?: string; code: string },
): void {
  const source = error.field === 'schedule' ? text : options.timezone;
  must(error.field === 'schedule' || error.field === 'timezone', 'a field is named', error);
  // What it quotes of the text may be anything.
  must(
    error.message.trim() !== '' &&
      (/\n|undefined|NaN|\[object/.test(text) || !/\n|undefined|NaN|\[object/.test(error.message)),
    'a sentence',
    error,
  );
  must(error.message.length < 500, 'a short sentence', error);
  must(
    Number.isInteger(error.position) && error.position >= 0 && error.position <= source.length,
    'a place in the text',
    error,
  );
  if (error.suggestion === undefined) return;
  const again =
    error.field === 'schedule'
      ? parseSchedule(error.suggestion, options)
      : parseSchedule('@daily', { ...options, timezone: error.suggestion });
  must(again.ok, 'the suggestion is valid', error, again);
  must(!/did you mean/i.test(error.message), 'the suggestion is said once', error);
}

const previews: Target = {
  name: 'preview request',
  weight: 5,
  limitMs: 400,
  run(dice) {
    const request = dice.mangleJson(
      {
        schedule: scheduleText(dice),
        timezone: dice.pick(ZONES),
        dst: { gap: 'after', overlap: 'first' },
        jitter: dice.mangle('5m'),
        starts_at: '2026-01-01T00:00:00Z',
        expires_at: '2036-01-01T00:00:00Z',
        calendars: [
          { dates: ['2026-12-25'], weekdays: ['sat', 'sun'], ranges: [{ from: '2026-08-01', to: '2026-08-31' }] },
        ],
        name: 'job',
        from: '2026-11-22T17:00:00Z',
        count: dice.between(1, 40),
      },
      0.06,
    );
    withInput(request, () => {
      const checked = PreviewRequest.safeParse(request);
      if (!checked.success) return must(checked.error.issues.length > 0, 'an issue is named');
      const answer = preview(checked.data, { nowMs: NOW, defaultZone: 'Europe/Madrid', calendarsByName: new Map() });
      const shape = PreviewResponse.safeParse(answer);
      must(shape.success, 'the answer has its shape', shape.error?.message, answer);
      must(answer.valid === (answer.error === undefined), 'an answer is valid or has an error', answer);
      must(
        answer.error === undefined || (answer.error.field !== '' && answer.error.message !== ''),
        'the error names the field',
        answer.error,
      );
    });
  },
};

export const scheduleTargets = [texts, previews];
