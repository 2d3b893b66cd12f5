import { describe, expect, it } from 'vitest';
import { Stop } from './stop.ts';

describe('Stop', () => {
  it('tells its listener once, however often it is asked', () => {
    const stop = new Stop();
    let told = 0;
    stop.listen(() => told++);
    expect(told).toBe(0);
    stop.ask();
    stop.ask();
    expect(told).toBe(1);
  });

  it('tells at once who listens after it was asked', () => {
    const stop = new Stop();
    stop.ask();
    let told = 0;
    stop.listen(() => told++);
    expect(told).toBe(1);
  });

  it('tells only the last listener, and nobody when that has gone', () => {
    const stop = new Stop();
    const told: string[] = [];
    stop.listen(() => told.push('first'));
    stop.listen(() => told.push('second'));
    stop.ask();
    expect(told).toEqual(['second']);
    const other = new Stop();
    other.listen(() => told.push('third'));
    other.listen(null);
    other.ask();
    expect(told).toEqual(['second']);
  });
});
