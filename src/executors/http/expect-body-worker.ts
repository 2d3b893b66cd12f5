// One match of a large pattern or body, away from the runner's loop (expect-body.ts).
import { parentPort, workerData } from 'node:worker_threads';
import { RE2JS } from 're2js';

const { pattern, text } = workerData as { pattern: string; text: string };
parentPort?.postMessage(RE2JS.compile(pattern).test(text));
