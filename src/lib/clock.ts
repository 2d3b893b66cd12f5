/**
 * Time as a parameter. Schedules use wall time (now), deadlines use monotonic time; nothing outside lib reads either directly, so that
 * the simulation can replace both.
 */

/** The zone this host is in: an IANA name. */
export function hostZone(): string {
  return Temporal.Now.timeZoneId();
}

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall time, epoch milliseconds, may step. */
  now(): number;
  /** Wall time, epoch microseconds as an integer below 2^53. */
  nowUs(): number;
  /** Milliseconds since some fixed moment, never steps back. */
  monotonic(): number;
  /** Calls `run` once after `ms`; delays beyond 2^31-1 ms are cut to that (about 24 days), so long waits must re-arm. */
  setTimer(ms: number, run: () => void): Timer;
  /** The same for a moment of wall time soon to come, met within a tenth of a millisecond at the price of up to a millisecond of CPU. */
  setExactTimer(ms: number, run: () => void): Timer;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Resolves after everything already queued on the loop had its turn. */
  yield(): Promise<void>;
}

const TIMER_MAX_MS = 2 ** 31 - 1;

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      },
      Math.min(Math.max(0, ms), TIMER_MAX_MS),
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** A timer fires up to 1.5 ms late: it is set a little early, and the rest passes in turns of the loop. */
function setExactTimer(ms: number, run: () => void): Timer {
  const wall = Date.now() + ms;
  // Wall time may be stepped back meanwhile.
  const latest = performance.now() + ms + 2;
  let immediate: NodeJS.Immediate | undefined;
  const turn = () => {
    if (Date.now() >= wall || performance.now() >= latest) run();
    else immediate = setImmediate(turn);
  };
  const timer = setTimeout(turn, Math.min(Math.max(0, ms - 1), TIMER_MAX_MS));
  return {
    cancel: () => {
      clearTimeout(timer);
      clearImmediate(immediate);
    },
  };
}

/** The machine's clocks. performance.timeOrigin is not used for wall time: it does not follow steps. */
export const systemClock: Clock = {
  now: () => Date.now(),
  // Date.now() follows clock steps; hrtime only adds the digits below the millisecond.
  nowUs: () => Date.now() * 1000 + Math.floor((performance.now() * 1000) % 1000),
  monotonic: () => performance.now(),
  setTimer(ms, run) {
    const timer = setTimeout(run, Math.min(Math.max(0, ms), TIMER_MAX_MS));
    return { cancel: () => clearTimeout(timer) };
  },
  setExactTimer,
  sleep,
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};
