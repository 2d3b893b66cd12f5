/** The key all processors share: whether the output stays with the execution. */

import { quoted } from '../core/executor-keys.ts';

export interface Forward {
  readonly forward: boolean;
  readonly problem?: string;
}

const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False', '']);

/** `forward` in the words of Go's strconv.ParseBool; missing is false, anything else is false with a problem. */
export function readForward(config: Readonly<Record<string, string>>): Forward {
  const text = config['forward'] ?? '';
  if (TRUE.has(text)) return { forward: true };
  return FALSE.has(text)
    ? { forward: false }
    : { forward: false, problem: `forward ${quoted(text)} is no boolean: false is used; write "true" or "false"` };
}
