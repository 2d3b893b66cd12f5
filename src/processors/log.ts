/** The `log` processor: the output between a BEGIN and an END line on the node's stdout (success) or stderr (failure). */
import type { ProcessedExecution, Processor, ProcessorContext } from './processor.ts';
import { readForward } from './forward.ts';

/** The end of a longer log is printed; Dkron never had more than this of any output. */
export const LOG_OUTPUT_BYTES_MAX = 256_000;

/** Dkron's word for "look there instead"; clients know it. */
const MARKER = 'Output in dkron log';

/** Where lines go; process.stdout and process.stderr are two. */
export interface LineSink {
  write(text: string): unknown;
}

export interface LogProcessorOptions {
  readonly stdout: LineSink;
  readonly stderr: LineSink;
}

export function createLogProcessor({ stdout, stderr }: LogProcessorOptions): Processor {
  return {
    name: 'log',
    async process(execution, config, context) {
      const { forward, problem } = readForward(config);
      // One write per execution, so that two of them never mix their lines.
      const text = frame(execution, await tailOfLog(context));
      (execution.success ? stdout : stderr).write(text);
      const output = forward ? execution.output : MARKER;
      return problem === undefined ? { output } : { output, problem };
    },
  };
}

function frame({ job, id }: ProcessedExecution, { text, cutBytes }: LogTail): string {
  const name = `job ${JSON.stringify(job)} execution ${JSON.stringify(id)}`;
  const cut = cutBytes === 0 ? '' : ` (the last ${LOG_OUTPUT_BYTES_MAX} bytes; ${cutBytes} before them left out)`;
  return `BEGIN output of ${name}${cut}\n${text}${text === '' || text.endsWith('\n') ? '' : '\n'}END output of ${name}\n`;
}

interface LogTail {
  readonly text: string;
  readonly cutBytes: number;
}

async function tailOfLog(context: ProcessorContext): Promise<LogTail> {
  let chunks: Uint8Array[] = [];
  let held = 0;
  let total = 0;
  for await (const chunk of context.openLog()) {
    context.signal.throwIfAborted();
    chunks.push(chunk);
    held += chunk.length;
    total += chunk.length;
    // Cut only now and then: joining at each chunk would copy the tail over and over.
    if (held > 4 * LOG_OUTPUT_BYTES_MAX) {
      chunks = [Buffer.concat(chunks).subarray(-LOG_OUTPUT_BYTES_MAX)];
      held = LOG_OUTPUT_BYTES_MAX;
    }
  }
  const tail = Buffer.concat(chunks).subarray(-LOG_OUTPUT_BYTES_MAX);
  return { text: tail.toString('utf8'), cutBytes: total - tail.length };
}
